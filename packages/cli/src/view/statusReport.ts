/**
 * Where the work stands, for people, and what to type next.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Snapshot } from "./snapshot.ts"
import { batchLines } from "./batchLines.ts"
import { facts } from "./block.ts"
import { count, number, usage } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import * as Style from "./style.ts"
import type { Canvas } from "./table.ts"
import { elapsed } from "./time.ts"
import { fit, pad } from "./width.ts"

/** How the report is made. */
export interface ReportOptions {
  /** How `baton` is to be called for this store. */
  readonly command: string
}

const margin = "  "
const barCells = 30

/**
 * The lines of `baton status`.
 *
 * @category converting
 * @since 0.1.0
 */
export const statusReport = (snapshot: Snapshot, canvas: Canvas, options: ReportOptions): ReadonlyArray<string> => {
  const { style } = canvas
  return [
    headline(snapshot, style),
    "",
    ...countLines(snapshot, canvas),
    ...usedLines(snapshot, canvas),
    ...batchLines(snapshot, canvas),
    ...deadLetterLines(snapshot, canvas),
    "",
    ...facts(
      nextSteps(snapshot).map(([step, why]) => [`${options.command} ${step}`, why] as const),
      { style: { ...Style.none, dim: style.bold }, margin }
    )
  ]
}

const headline = ({ counts, paused, total }: Snapshot, style: Style.Style): string => {
  const state = paused ? `  ${style.yellow("paused")}` : ""
  if (total === 0) return `${style.bold("No tasks")}${state}`
  const done = counts.completed / total
  const green = cells(counts.completed, total)
  const red = cells(counts.failed, total)
  const rest = Math.max(0, barCells - green - red)
  const bar = style.green("█".repeat(green)) + style.red("▓".repeat(red)) + style.dim("░".repeat(rest))
  return `${style.bold(count(total, "task"))}  ${bar}  ${Math.floor(done * 100)}% completed${state}`
}

/** A full bar means all of them, and a cell that shows at least one: nothing is hidden by rounding. */
const cells = (part: number, total: number): number =>
  part === 0 ? 0 : Math.max(1, Math.floor((part / total) * barCells))

const countLines = (snapshot: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  const { counts } = snapshot
  const rows: ReadonlyArray<readonly [string, number, Style.Paint, string]> = [
    [
      "pending",
      counts.pending,
      Style.ofStatus(style, "pending"),
      counts.waiting === 0
        ? ""
        : `${number(counts.waiting)} of them ${counts.waiting === 1 ? "waits" : "wait"} for other tasks`
    ],
    ["in progress", counts.in_progress, Style.ofStatus(style, "in_progress"), oldest(snapshot)],
    ["completed", counts.completed, Style.ofStatus(style, "completed"), ""],
    ["failed", counts.failed, Style.ofStatus(style, "failed"), counts.failed === 0 ? "" : "in the dead-letter queue"],
    ["cancelled", counts.cancelled, Style.ofStatus(style, "cancelled"), ""]
  ]
  const digits = Math.max(...rows.map(([, value]) => number(value).length))
  return rows.map(([label, value, paint, note]) => {
    const figure = `${pad(label, 11)}  ${pad(number(value), digits, "right")}`
    const shown = value === 0 ? style.dim(figure) : paint(figure)
    const room = columns - margin.length - figure.length - 2
    return note === "" ? margin + shown : `${margin}${shown}  ${style.dim(fit(note, room))}`
  })
}

const oldest = ({ oldestRunning }: Snapshot): string =>
  oldestRunning === null
    ? ""
    : `the oldest, ${firstLine(oldestRunning.id)}, for ${elapsed(Duration.seconds(oldestRunning.seconds))}`

const usedLines = ({ total, used }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  if (used.usage === null) return []
  const part = used.examined < total ? ` (the first ${number(used.examined)} tasks)` : ""
  return ["", `${style.bold("Used")}  ${fit(`${usage(used.usage)}${part}`, columns - 6)}`]
}

const deadLetterLines = ({ counts, deadLetters }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  if (deadLetters.feedback.length === 0) return []
  const digits = Math.max(...deadLetters.feedback.map((group) => number(group.count).length))
  const part = deadLetters.examined < counts.failed ? ` (of the first ${number(deadLetters.examined)})` : ""
  return [
    "",
    style.bold(`Why tasks failed${part}`),
    ...deadLetters.feedback.map(
      (group) =>
        `${margin}${style.red(pad(number(group.count), digits, "right"))}  ` +
        fit(group.text, columns - margin.length - digits - 2)
    )
  ]
}

/** What helps from here, the most useful first. */
const nextSteps = ({ counts, paused, total }: Snapshot): ReadonlyArray<readonly [command: string, why: string]> => {
  const ready = counts.pending - counts.waiting
  const idle = counts.in_progress === 0
  const steps: ReadonlyArray<readonly [boolean, string, string]> = [
    [paused, "resume", "let runs start tasks again"],
    [total === 0, "add 'TEXT'", "add a task"],
    [total === 0, "run tasks.jsonl", "work through a list"],
    [counts.failed > 0, "dlq list", "see what failed, and why"],
    [counts.failed > 0, "dlq requeue --all", "try what failed again"],
    [ready > 0 && idle && !paused, "run", "work on what is pending"],
    [
      counts.waiting > 0 && ready === 0 && idle,
      "list --status pending",
      "see what waits for tasks that did not complete"
    ],
    [!idle, "status --watch", "watch it go on"],
    [counts.completed > 0 && idle && ready <= 0, "export --format csv", "take the results"]
  ]
  return steps.flatMap(([applies, step, why]) => (applies ? [[step, why] as const] : []))
}
