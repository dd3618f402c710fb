/** Where the work on a store stands at one moment. */
import { TaskId } from "@baton/core/Task"
import { Counts, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Usage from "@baton/core/Usage"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Duration from "effect/Duration"
import { existsSync } from "node:fs"
import { StoreUrl } from "../settings/flags.ts"
import { beside } from "../settings/beside.ts"
import { pages } from "../system/pages.ts"
import { firstLine } from "./safeText.ts"
import { facts, type Canvas } from "./table.ts"
import { count, number, usage, elapsed } from "./quantity.ts"
import * as Style from "./style.ts"
import { fit, pad } from "./width.ts"

/** What `baton status` tells. */
export const Snapshot = Schema.Struct({
  total: Schema.Int,
  counts: Counts,
  /** Whether runs on this store are paused. */
  paused: Schema.Boolean,
  /** The running task that started first; null when nothing runs. */
  oldestRunning: Schema.NullOr(
    Schema.Struct({ id: TaskId, startedAt: Schema.DateTimeUtcFromString, seconds: Schema.Finite })
  ),
  deadLetters: Schema.Struct({
    /** The first line of their feedback and how many have it, the most frequent first; at most five. */
    feedback: Schema.Array(Schema.Struct({ text: Schema.String, count: Schema.Int })),
    /** How many dead letters were read for it: the first 1000. */
    examined: Schema.Int
  }),
  used: Schema.Struct({
    /** What they used together; null when nothing was metered. */
    usage: Schema.NullOr(Usage.Usage),
    /** How many tasks were read for it: the first 5000, or 1000 where it is told again and again. */
    examined: Schema.Int
  }),
  /** Batches that had not ended when a run last looked, the oldest first; `id` is null where it is unknown whether there is one. */
  batches: Schema.Array(
    Schema.Struct({
      id: Schema.NullOr(Schema.String),
      requests: Schema.Int,
      createdAt: Schema.DateTimeUtcFromString,
      seconds: Schema.Finite
    })
  )
})

export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

const examinedAtMost = 1000
const feedbackShown = 5

/** Reads it. Costs a few queries, however many tasks there are. */
export const read = Effect.fnUntraced(function* (options: {
  /** Whether it is read again and again. */
  readonly watching: boolean
}): Effect.fn.Return<Snapshot, TaskStoreError, TaskStore | GlobalFlag.Setting.Identifier<"store">> {
  const store = yield* TaskStore
  const counts = yield* store.counts
  const { paused } = yield* store.control
  const total = counts.pending + counts.in_progress + counts.completed + counts.failed + counts.cancelled
  return {
    total,
    counts,
    paused,
    oldestRunning: counts.in_progress === 0 ? null : yield* oldestRunning,
    deadLetters: counts.failed === 0 ? { feedback: [], examined: 0 } : yield* deadLetters,
    used: yield* used(options.watching ? 1000 : 5000),
    batches: yield* batches
  }
})

const batches = Effect.gen(function* () {
  const filename = beside(yield* StoreUrl, "batches")
  // Most lists have never seen one, and what is needed to look takes time to load.
  if (filename === undefined || !existsSync(filename)) return []
  const { Batches } = yield* Effect.promise(() => import("@baton/adapters/claude"))
  const now = yield* Clock.currentTimeMillis
  const underWay = yield* Effect.orElseSucceed(Batches.inProgress({ filename }), () => [])
  return underWay.map(({ createdAt, id, requests }) => ({
    id,
    requests,
    createdAt: DateTime.makeUnsafe(createdAt),
    seconds: Math.max(0, now - createdAt) / 1000
  }))
})

/** A store has no sums: counting on it would slow every write down, for a line that is read now and then. */
const used = (limit: number) =>
  Stream.runFold(
    pages({ limit }),
    (): Snapshot["used"] => ({ usage: null, examined: 0 }),
    ({ examined, usage }, task) => ({ usage: Usage.add(usage, task.usage), examined: examined + 1 })
  )

/** A running task changes when it is claimed and when its output is saved, so the one that changed first is close enough. */
const oldestRunning = Effect.gen(function* () {
  const store = yield* TaskStore
  const { tasks } = yield* store.list({ status: "in_progress", limit: examinedAtMost })
  const [oldest] = [...tasks].sort((a, b) => a.updatedAt.epochMilliseconds - b.updatedAt.epochMilliseconds)
  if (oldest === undefined) return null
  const attempts = yield* store.attempts(oldest.id)
  const startedAt = attempts.findLast((attempt) => attempt.outcome === "running")?.startedAt ?? oldest.updatedAt
  const now = yield* Clock.currentTimeMillis
  return { id: oldest.id, startedAt, seconds: Math.max(0, now - startedAt.epochMilliseconds) / 1000 }
})

const deadLetters = Effect.gen(function* () {
  const tally = new Map<string, number>()
  let examined = 0
  yield* Stream.runForEachArray(pages({ status: "failed", limit: examinedAtMost }), (tasks) =>
    Effect.sync(() => {
      examined += tasks.length
      for (const { feedback } of tasks) {
        const text = firstLine(feedback ?? "") || "no feedback"
        tally.set(text, (tally.get(text) ?? 0) + 1)
      }
    })
  )
  const feedback = Array.from(tally, ([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
  return { feedback: feedback.slice(0, feedbackShown), examined }
})

/** How the report is made. */
export interface ReportOptions {
  /** How `baton` is to be called for this store. */
  readonly command: string
}

const margin = "  "
const barCells = 30

/** The lines of `baton status`. */
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

const shown = 5

/** A line for each of the oldest, under a heading; none without batches. */
export const batchLines = (
  { batches }: Pick<Snapshot, "batches">,
  { columns, style }: Canvas
): ReadonlyArray<string> => {
  if (batches.length === 0) return []
  const total = batches.reduce((sum, { requests }) => sum + requests, 0)
  const rest = batches.length - shown
  return [
    "",
    style.bold(
      `In ${batches.length === 1 ? "a batch" : count(batches.length, "batch", "batches")}: ${count(total, "request")}`
    ),
    ...batches.slice(0, shown).map(({ id, requests, seconds }) => {
      const name = id === null ? "nobody has heard yet that it was created" : firstLine(id)
      return fit(`  ${count(requests, "request")} for ${elapsed(Duration.seconds(seconds))}  ${name}`, columns)
    }),
    ...(rest > 0 ? [`  and ${count(rest, "more", "more")}`] : []),
    style.dim("  The run that sent them, or the same command again, takes the answers.")
  ]
}
