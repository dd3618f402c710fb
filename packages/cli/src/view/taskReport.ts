/** Everything about one task, for people. */
import type { Attempt } from "@baton/core/Attempt"
import type { Task } from "@baton/core/Task"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import { block, facts, type Canvas } from "./table.ts"
import { count, number, usage, age, elapsed, moment } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import * as Style from "./style.ts"
import { statusWord } from "./taskTable.ts"
import { judgesOf } from "./models.ts"

/** A task with what is told along with it. */
export interface Subject {
  readonly task: Task
  readonly history: ReadonlyArray<Attempt>
  /** The tasks it depends on and how they stand; null for one that is gone. */
  readonly dependencies: ReadonlyArray<readonly [id: string, status: Task["status"] | null]>
}

const margin = "  "
const mostDescriptionLines = 40

/** The lines of `baton show`: the task, its description, its ledger, its result. */
export const taskReport = (subject: Subject, canvas: Canvas, now: number): ReadonlyArray<string> => {
  const { history, task } = subject
  const { style } = canvas
  const section = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : ["", style.bold(title), ...lines]
  const entries = particulars(subject, canvas, now)
  return [
    `${style.bold(firstLine(task.id))}  ${Style.ofStatus(style, task.status)(statusWord(task))}${standing(task)}`,
    "",
    ...facts(entries, { style, margin }),
    ...section("Metadata", metadata(task, canvas)),
    ...section("Description", block(task.description, margin, mostDescriptionLines)),
    ...section(
      "Attempts",
      history.flatMap((attempt) => attemptReport(attempt, { style, now }))
    ),
    // The ledger has said it already, unless the dead letter was pruned of it or the next attempt is yet to hear it.
    ...(task.feedback === null || history.at(-1)?.error === task.feedback
      ? []
      : section("Feedback for the next attempt", block(task.feedback, margin))),
    ...(task.result === null ? [] : section("Result", resultLines(task.result)))
  ]
}

const standing = (task: Task): string => {
  if (task.status === "completed") return task.verified ? ", verified" : ", not verified"
  return task.status === "failed" ? ", in the dead-letter queue" : ""
}

const resultLines = (result: string): ReadonlyArray<string> => {
  const lines = block(result, margin)
  return lines.length === 1 && lines[0] === "" ? [`${margin}(empty)`] : lines
}

const particulars = ({ dependencies, task }: Subject, { style }: Canvas, now: number) => {
  const ago = (at: DateTime.Utc) => {
    const passed = age(Duration.millis(now - at.epochMilliseconds))
    return `${moment(at)}  ${style.dim(passed === "now" ? "just now" : `${passed} ago`)}`
  }
  const wait = task.availableAt.epochMilliseconds - now
  const entries: ReadonlyArray<readonly [string, string]> = [
    ["Added", ago(task.createdAt)],
    ["Changed", task.updatedAt.epochMilliseconds === task.createdAt.epochMilliseconds ? "" : ago(task.updatedAt)],
    ["Tries", number(task.attempts) + requeued(task)],
    ["Starts", task.status === "pending" && wait > 0 ? `in ${elapsed(Duration.millis(wait))}, not earlier` : ""],
    ["Priority", task.priority === 0 ? "" : number(task.priority)],
    ["Depends on", dependencies.map(([id, status]) => dependency(style, id, status)).join(", ")],
    ["Used", task.usage === null ? "" : usage(task.usage)]
  ]
  return entries.filter(([, value]) => value !== "")
}

const mostMetadata = 30

/** A line a field: what a list of work came with can be long. */
const metadata = ({ metadata }: Task, { columns, style }: Canvas): ReadonlyArray<string> => {
  const entries = Object.entries(metadata).map(
    ([name, value]) => [firstLine(name), firstLine(typeof value === "string" ? value : JSON.stringify(value))] as const
  )
  const more = entries.length - mostMetadata
  const shown = facts(entries.slice(0, mostMetadata), { style, margin, columns })
  return more > 0 ? [...shown, `${margin}… ${count(more, "more field")}`] : shown
}

const requeued = ({ requeues }: Task): string => {
  if (requeues === 0) return ""
  return requeues === 1 ? ", since it was requeued" : `, since it was requeued for the ${ordinal(requeues)} time`
}

const ordinal = (n: number): string => {
  const teens = n % 100 > 10 && n % 100 < 14
  const suffix = teens ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th")
  return `${number(n)}${suffix}`
}

const dependency = (style: Style.Style, id: string, status: Task["status"] | null): string =>
  status === null
    ? `${firstLine(id)} ${style.red("(gone)")}`
    : `${firstLine(id)} (${Style.ofStatus(style, status)(statusWord({ status }))})`

const attemptMargin = "     "
const mostLines = 12

/** A heading with number, outcome, time and worker; below it why it ended so, and what the executor noted. */
export const attemptReport = (
  attempt: Attempt,
  options: { readonly style: Style.Style; readonly now: number }
): ReadonlyArray<string> => {
  const { style } = options
  const end = attempt.endedAt?.epochMilliseconds ?? options.now
  const took = elapsed(Duration.millis(end - attempt.startedAt.epochMilliseconds))
  const heading = [
    `${style.bold(`#${attempt.number}`)} ${Style.ofOutcome(style, attempt.outcome)(attempt.outcome.replace("_", " "))}`,
    style.dim(`${moment(attempt.startedAt)}, ${attempt.endedAt === null ? `for ${took} now` : took}`),
    style.dim(`by ${firstLine(attempt.owner)}`)
  ]
  return [
    `  ${heading.join("  ")}`,
    ...labelled("Error", attempt.error ?? "", style),
    ...verdict(attempt, style),
    ...labelled("Used", attempt.usage === null ? "" : usage(attempt.usage), style),
    ...labelled("Judging", judging(attempt), style),
    ...noted(attempt, style)
  ]
}

/** Who judged, and its part of what was used. */
const judging = ({ verification }: Attempt): string => {
  const used = verification === null || verification.usage === null ? [] : [`${usage(verification.usage)} of it`]
  return [...judgesOf(verification), ...used].join(", ")
}

/** One line beside its label, several below it, nothing when there is nothing to say. */
const labelled = (label: string, text: string, style: Style.Style): ReadonlyArray<string> => {
  const [first = "", ...others] = block(text, `${attemptMargin}  `, mostLines)
  if (others.length > 0) return [`${attemptMargin}${style.dim(`${label}:`)}`, first, ...others]
  return first === "" ? [] : [`${attemptMargin}${style.dim(`${label}:`)} ${first.trimStart()}`]
}

const verdict = ({ error, verification }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  if (verification === null) return []
  const word = verification.passed ? style.green("accepted") : style.red("rejected")
  const sureness = verification.confidence === 1 ? "" : `, ${Math.round(verification.confidence * 100)}% sure`
  return [
    `${attemptMargin}${style.dim("Verdict:")} ${word}${sureness}`,
    // A rejection's feedback is the attempt's error as well.
    ...(verification.feedback === error ? [] : labelled("Feedback", verification.feedback, style)),
    ...verification.issues.flatMap((issue) => block(`- ${issue}`, `${attemptMargin}  `, mostLines))
  ]
}

/** Short values share a line; texts of several lines (the end of what a program printed, say) keep theirs, the last ones. */
const noted = ({ error, execution }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  const values = Object.entries(execution?.metadata ?? {}).flatMap(([name, value]) => {
    const text = typeof value === "string" ? value.trim() : value === null ? "" : JSON.stringify(value)
    // The end of what a program printed is often its error, word for word.
    const isSaid = text === "" || (typeof value === "string" && error?.includes(text) === true)
    return isSaid ? [] : [[firstLine(name), text] as const]
  })
  const isLong = (text: string) => text.length > 100 || text.includes("\n")
  const short = values.filter(([, text]) => !isLong(text)).map(([name, text]) => `${name} ${firstLine(text)}`)
  return [
    ...labelled("Noted", short.join(", "), style),
    ...values.filter(([, text]) => isLong(text)).flatMap(([name, text]) => labelled(name, lastLines(text), style))
  ]
}

const lastLines = (text: string): string => {
  const lines = text.split("\n")
  return lines.length <= mostLines ? text : ["…", ...lines.slice(-mostLines)].join("\n")
}
