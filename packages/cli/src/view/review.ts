/** The screen of `baton review` and `baton audit`: one output at a time, and the keys that decide about it. */
import type { Attempt } from "@baton/core/Attempt"
import type { Task } from "@baton/core/Task"
import type { RefusedDecision } from "@baton/core/TaskStore"
import * as TextDiff from "effect/TextDiff"
import { count, number } from "./quantity.ts"
import { firstLine, safe, type SafeText, safeText } from "./safeText.ts"
import type * as Style from "./style.ts"
import { statusWord } from "./taskTable.ts"
import { displayWidth, fit } from "./width.ts"

/** An output that waits for a person. */
export interface ReviewItem {
  readonly task: Task
  /** The attempt to decide about. */
  readonly attempt: Attempt
  /** The last output before it; undefined when there is none. */
  readonly before: string | undefined
  /** Why the attempt before it was not accepted. */
  readonly feedback: string | null
}

/** The output in review of a task with this history; undefined when it is no longer in review. */
export const itemOf = (task: Task, history: ReadonlyArray<Attempt>): ReviewItem | undefined => {
  const attempt = history.at(-1)
  return attempt?.outcome === "in_review" ? itemAt(task, history, history.length - 1) : undefined
}

/** The output of one attempt, with what was before it. */
export const itemAt = (task: Task, history: ReadonlyArray<Attempt>, place: number): ReviewItem | undefined => {
  const attempt = history[place]
  if (attempt === undefined) return undefined
  const before = history
    .slice(0, place)
    .map(({ execution }) => execution?.output)
    .findLast((output) => output !== undefined && output !== "")
  return { task, attempt, before, feedback: history[place - 1]?.error ?? null }
}

/** The texts that differ between a review and an audit. */
export interface Texts {
  readonly keys: string
  readonly nothing: string
}

export const reviewTexts: Texts = {
  keys: "a approve  r reject  e edit  x give up  s skip  u undo  ↑↓ scroll  q quit",
  nothing: "No output waits for review"
}

export const auditTexts: Texts = {
  keys: "a agree  d disagree  s skip  p back  u undo  ↑↓ scroll  q quit",
  nothing: "No verdict waits for an audit"
}

/** What the screen shows. */
export interface Review {
  readonly texts: Texts
  readonly item: ReviewItem | undefined
  /** The place of the output among those that wait, from 1. */
  readonly place: number
  readonly waiting: number
  readonly decided: number
  /** How many lines of the output are above the screen. */
  readonly scroll: number
  /** The comment that the person is typing; undefined while nothing is typed. */
  readonly comment: string | undefined
  readonly message: SafeText
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** More lines than this are not compared, and of a longer output only the beginning is shown. */
const maxCharacters = 256 * 1024
const maxEdits = 1000

const commentKeys = "Enter sends the comment  Esc cancels"

/** A line in pieces that fit. Spaces at a break stay, because they can matter in an output. */
const fold = (line: string, columns: number): ReadonlyArray<string> => {
  if (displayWidth(line) <= columns) return [line]
  const pieces: Array<string> = []
  let piece = ""
  let width = 0
  for (const character of line) {
    const cells = displayWidth(character)
    if (width + cells > columns) {
      pieces.push(piece)
      piece = ""
      width = 0
    }
    piece += character
    width += cells
  }
  return [...pieces, piece]
}

const textLines = (text: string): ReadonlyArray<string> => {
  const cut = text.length > maxCharacters ? `${text.slice(0, maxCharacters)}\n…` : text
  return safeText(cut).replaceAll("\t", "    ").trimEnd().split("\n")
}

const difference = (before: string, after: string): ReadonlyArray<string> =>
  textLines(
    TextDiff.unified(
      TextDiff.lines(`${before.slice(0, maxCharacters)}\n`, `${after.slice(0, maxCharacters)}\n`, { maxEdits }),
      { context: 2 }
    )
  )

const ofDifference = (style: Style.Style, line: string): Style.Paint => {
  if (line.startsWith("+")) return style.green
  if (line.startsWith("-")) return style.red
  return line.startsWith("@@") ? style.dim : (text) => text
}

/** The text about one output, as lines that fit. */
export const bodyOf = (
  { attempt, before, feedback, task }: ReviewItem,
  columns: number,
  style: Style.Style
): ReadonlyArray<string> => {
  const output = attempt.execution?.output ?? ""
  const { verification } = attempt
  const section = (
    title: string,
    lines: ReadonlyArray<string>,
    paint: (line: string) => Style.Paint = () => (line) => line
  ) =>
    lines.length === 0
      ? []
      : [
          style.bold(title),
          ...lines.flatMap((line) => fold(line, columns - 2).map((part) => `  ${paint(line)(part)}`)),
          ""
        ]
  const judges = (verification?.models ?? []).map(firstLine).join(", ")
  const sure = `${verification?.passed === true ? "accepted" : "rejected"}, ${Math.round((verification?.confidence ?? 0) * 100)}% sure`
  const verdict =
    verification === undefined
      ? []
      : [
          ...(verification.review === undefined ? [] : textLines(verification.review)),
          ...(judges === "" && verification.confidence === 0 ? [] : [judges === "" ? sure : `${sure} (${judges})`]),
          ...(verification.feedback === "" ? [] : textLines(verification.feedback)),
          ...verification.issues.flatMap((issue) => textLines(`- ${issue}`))
        ]
  return [
    ...section("Task", textLines(task.description)),
    ...(feedback === null ? [] : section("Feedback on the attempt before", textLines(feedback))),
    ...section("Output", output === "" ? ["(empty)"] : textLines(output)),
    ...section("Verdict", verdict),
    ...(before === undefined
      ? []
      : before === output
        ? section("Difference to the attempt before", ["none"])
        : section("Difference to the attempt before", difference(before, output), (line) => ofDifference(style, line)))
  ].slice(0, -1)
}

/** The number of lines between the first line and the keys. */
const roomOf = ({ rows }: Size): number => Math.max(1, rows - 4)

/** The furthest that the text can be scrolled. */
export const lastScroll = (review: Review, size: Size, style: Style.Style): number =>
  review.item === undefined ? 0 : Math.max(0, bodyOf(review.item, size.columns, style).length - roomOf(size))

/** The lines of the screen. */
export const reviewScreen = (review: Review, size: Size, style: Style.Style): ReadonlyArray<string> => {
  const { columns } = size
  const { comment, decided, item, message, place, scroll, texts, waiting } = review
  const room = roomOf(size)
  const rule = style.dim("─".repeat(Math.max(0, columns)))
  if (item === undefined) {
    return [
      style.bold(texts.nothing),
      rule,
      ...Array.from({ length: room - 1 }, () => ""),
      fit(message, columns),
      style.dim(fit(decided > 0 ? "u undo  any other key ends" : "any key ends", columns))
    ]
  }
  const body = bodyOf(item, columns, style)
  const shown = body.slice(scroll, scroll + room)
  const rest = body.length - scroll - shown.length
  const right = `attempt ${number(item.attempt.number)}  ${number(place)} of ${number(waiting)}${decided > 0 ? `, ${number(decided)} decided` : ""}`
  const id = fit(firstLine(item.task.id), Math.max(8, columns - right.length - 2))
  const gap = " ".repeat(Math.max(1, columns - displayWidth(id) - right.length))
  const hidden = rest > 0 ? ` ${count(rest, "more line")} below ` : ""
  return [
    `${style.bold(id)}${gap}${style.dim(right)}`,
    ...shown,
    ...Array.from({ length: room - shown.length }, () => ""),
    style.dim(`${"─".repeat(Math.max(0, columns - hidden.length))}${hidden}`),
    comment === undefined ? fit(message, columns) : `Comment: ${lastCells(comment, columns - 11)}▏`,
    style.dim(fit(comment === undefined ? texts.keys : commentKeys, columns))
  ]
}

/** The end of a text that is being typed. */
const lastCells = (text: string, cells: number): string => {
  const line = safeText(text).replaceAll("\n", "⏎")
  return line.length <= cells ? line : `…${line.slice(1 - cells)}`
}

const words = { approved: "approved", rejected: "rejected", edited: "edited", expired: "let expire" } as const

/** Why a decision changed nothing, as a sentence. */
export const refusal = ({ decision, status, taskId }: RefusedDecision): SafeText => {
  if (status === undefined) return safe`The task ${taskId} does not exist.`
  if (decision === undefined) return safe`${taskId} is not in review: it is ${statusWord({ status })}.`
  const comment = decision.comment === "" ? "" : `: ${firstLine(decision.comment)}`
  return safe`${firstLine(decision.by)} has already ${words[decision.kind]} ${taskId}${comment}${status === "in_review" ? "; another output of it is in review." : "."}`
}
