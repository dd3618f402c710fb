/** The state of a store at one moment. */
import type { BatchJournal } from "@baton/core/BatchJournal"
import { optionalNullOr } from "@baton/core/OptionalKey"
import { type Task, TaskId, type TaskStatus } from "@baton/core/Task"
import { Counts, type QueueCounts, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Usage from "@baton/core/Usage"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Duration from "effect/Duration"
import { PendingBatch, pendingBatch } from "./batches.ts"
import { pages } from "@baton/core/TaskPages"
import { Causes } from "./causes.ts"
import { budgetLines, budgetText, QueueBudget, queueBudget } from "./budgets.ts"
import { PausedQueue, pausedQueue, pauseLines } from "./pauses.ts"
import { firstLine } from "./safeText.ts"
import { type Canvas, labelledLines } from "./table.ts"
import { count, number, usage, elapsed } from "./quantity.ts"
import * as Style from "./style.ts"
import { isClaimed } from "./taskTable.ts"
import { fit, pad } from "./width.ts"

/** The object that `baton status --json` prints. */
export const Snapshot = Schema.Struct({
  total: Schema.Int,
  counts: Counts,
  /** The queues that the counts are of, by name. */
  queues: Schema.Array(Schema.Struct({ queue: Schema.String, ...Counts.fields, usage: optionalNullOr(Usage.Usage) })),
  /** Whether runs on this store are paused. */
  paused: Schema.Boolean,
  /** The tasks in progress that a worker has claimed and not started, of at most 1000. */
  claimed: Schema.Int,
  /** The queues that are paused, by name. */
  pauses: Schema.Array(PausedQueue),
  /** The running task that started first, if a task is running. */
  oldestRunning: optionalNullOr(
    Schema.Struct({ id: TaskId, startedAt: Schema.DateTimeUtcFromString, seconds: Schema.Finite })
  ),
  deadLetters: Schema.Struct({
    /** The most frequent reasons with their counts; at most five. */
    feedback: Schema.Array(Schema.Struct({ text: Schema.String, count: Schema.Int })),
    /** The number of dead letters that were read: at most 1000. */
    examined: Schema.Int
  }),
  /** The tasks that depend on a task that failed or was cancelled, directly or through others. */
  dependents: Schema.Struct({
    /** Pending tasks that cannot start before it is requeued and completes. */
    blocked: Schema.Int,
    /** Tasks that were cancelled themselves. */
    cancelled: Schema.Int,
    /** Tasks that were failed without an attempt (`--on-dependency-failed fail`). */
    failed: Schema.Int,
    /** The number of tasks that were read: at most 1000 with each of the three statuses. */
    examined: Schema.Int
  }),
  /** The usage of all tasks; absent if nothing was metered. */
  usage: optionalNullOr(Usage.Usage),
  /** The budgets of the queues that have one, by the name of the queue. */
  budgets: Schema.Array(QueueBudget),
  /** The concurrency that was set for running workers, in queues with tasks in progress. */
  concurrency: Schema.Array(
    Schema.Struct({
      queue: Schema.String,
      /** Absent: all that were running. */
      worker: optionalNullOr(Schema.String),
      /** Absent: what the worker was started with. */
      concurrency: optionalNullOr(Schema.Int),
      at: Schema.DateTimeUtcFromString
    })
  ),
  /** Pending batches, the oldest first. `id` is absent if it is unknown whether the batch was created. */
  batches: Schema.Array(PendingBatch)
})

export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

const maxExamined = 1000
const maxReasons = 5

/** Reads the state with a few queries, independent of the number of tasks. */
export const read: Effect.Effect<Snapshot, TaskStoreError, TaskStore> = Effect.gen(function* () {
  const store = yield* TaskStore
  const queues = yield* store.queues
  const counts = yield* store.counts
  const failed = counts.failed === 0 ? [] : yield* firstWith("failed")
  const { paused } = yield* store.control
  const total =
    counts.pending + counts.in_progress + counts.in_review + counts.completed + counts.failed + counts.cancelled
  return {
    total,
    counts,
    queues,
    usage: queues.reduce<Usage.Usage | undefined>((sum, { usage }) => Usage.add(sum, usage), undefined),
    paused,
    pauses: store.pauses === undefined ? [] : (yield* store.pauses.list).map(pausedQueue),
    ...(counts.in_progress === 0 ? { claimed: 0 } : yield* underWay),
    deadLetters: deadLetters(failed),
    dependents: yield* dependents(counts, failed),
    budgets: store.budgets === undefined ? [] : (yield* store.budgets.list).map(queueBudget),
    concurrency: yield* concurrency(store, queues),
    batches: store.batches === undefined ? [] : yield* pendingBatches(store.batches)
  }
})

const pendingBatches = Effect.fnUntraced(function* ({ list }: BatchJournal) {
  const now = yield* DateTime.now
  return (yield* list).map((batch) => pendingBatch(batch, now))
})

/** Settings of queues that nothing works on are of runs that have ended. */
const concurrency = (store: TaskStore["Service"], queues: ReadonlyArray<QueueCounts>) =>
  Effect.map(store.concurrency?.list ?? Effect.succeed([]), (settings) =>
    settings
      .filter(({ queue }) => queues.some((counts) => counts.queue === queue && counts.in_progress > 0))
      .map(({ at, concurrency, queue, worker }) => ({ queue, worker, concurrency, at }))
  )

const underWay = Effect.gen(function* () {
  const store = yield* TaskStore
  const { tasks } = yield* store.list({ status: "in_progress", results: false, limit: maxExamined })
  const claimed = tasks.filter(isClaimed).length
  const started = tasks.flatMap(({ id, startedAt }) => (startedAt === undefined ? [] : { id, startedAt }))
  const [oldest] = started.sort((a, b) => a.startedAt.epochMilliseconds - b.startedAt.epochMilliseconds)
  if (oldest === undefined) return { claimed, oldestRunning: undefined }
  const now = yield* Clock.currentTimeMillis
  const seconds = Math.max(0, now - oldest.startedAt.epochMilliseconds) / 1000
  return { claimed, oldestRunning: { ...oldest, seconds } }
})

const firstWith = (status: TaskStatus) => Stream.runCollect(pages({ status, results: false, limit: maxExamined }))

const dependents = Effect.fnUntraced(function* ({ cancelled, waiting }: Counts, failed: ReadonlyArray<Task>) {
  const gone = [...failed, ...(cancelled === 0 ? [] : yield* firstWith("cancelled"))]
  if (gone.length === 0) return { blocked: 0, cancelled: 0, failed: 0, examined: 0 }
  const pending = waiting === 0 ? [] : yield* firstWith("pending")
  const unreachable = new Set<string>(gone.map(({ id }) => id))
  let blocked = 0
  // A task that is added with its dependency can come before it, so one pass is not enough.
  for (let before = -1; before < blocked;) {
    before = blocked
    for (const { dependsOn, id } of pending) {
      if (unreachable.has(id) || !dependsOn.some((id) => unreachable.has(id))) continue
      unreachable.add(id)
      blocked++
    }
  }
  const dependentsWith = (wanted: TaskStatus) =>
    gone.filter(({ attempts, dependsOn, status }) => {
      const isUntried = wanted === "cancelled" || attempts === 0
      return status === wanted && isUntried && dependsOn.some((id) => unreachable.has(id))
    }).length
  return {
    blocked,
    cancelled: dependentsWith("cancelled"),
    failed: dependentsWith("failed"),
    examined: pending.length + gone.length
  }
})

const deadLetters = (failed: ReadonlyArray<Task>): Snapshot["deadLetters"] => {
  const causes = new Causes(maxExamined)
  for (const { feedback } of failed) causes.add(feedback ?? "no feedback")
  const feedback = causes.ranked().slice(0, maxReasons)
  return { feedback: feedback.map(({ tasks, text }) => ({ text, count: tasks })), examined: failed.length }
}

/** Options of the report. */
export interface ReportOptions {
  /** The command `baton` with the flags for this store. */
  readonly command: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

const margin = "  "
const barCells = 30

/** The lines of `baton status`. */
export const statusReport = (snapshot: Snapshot, canvas: Canvas, options: ReportOptions): ReadonlyArray<string> => {
  const { style } = canvas
  return [
    headline(snapshot, style),
    ...pauseReport(snapshot, canvas, options.now),
    "",
    ...countLines(snapshot, canvas),
    ...queueLines(snapshot, canvas),
    ...usedLines(snapshot, canvas),
    ...budgetReport(snapshot, canvas),
    ...concurrencyLines(snapshot, canvas, options.now),
    ...batchLines(snapshot, canvas),
    ...deadLetterLines(snapshot, canvas),
    "",
    ...labelledLines(
      nextSteps(snapshot).map(([step, why]) => [`${options.command} ${step}`, why] as const),
      { style: { ...Style.none, dim: style.bold }, margin }
    )
  ]
}

const pauseReport = ({ pauses }: Snapshot, { columns, style }: Canvas, now: number): ReadonlyArray<string> =>
  pauses.length === 0 ? [] : ["", ...pauseLines(pauses, now).map((line) => style.yellow(fit(line, columns)))]

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

/** The cells of a bar. Any nonzero part has at least one cell, and only the whole fills the bar. */
const cells = (part: number, total: number): number =>
  part === 0 ? 0 : Math.max(1, Math.floor((part / total) * barCells))

const countLines = (snapshot: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  const { counts, dependents } = snapshot
  const rows: ReadonlyArray<readonly [string, number, Style.Paint, string]> = [
    ["pending", counts.pending, Style.ofStatus(style, "pending"), waitingNote(snapshot)],
    ["in progress", counts.in_progress, Style.ofStatus(style, "in_progress"), inProgressNote(snapshot)],
    ...(counts.in_review === 0
      ? []
      : [["in review", counts.in_review, Style.ofStatus(style, "in_review"), "people have to decide"] as const]),
    ["completed", counts.completed, Style.ofStatus(style, "completed"), ""],
    ["failed", counts.failed, Style.ofStatus(style, "failed"), failedNote(snapshot)],
    [
      "cancelled",
      counts.cancelled,
      Style.ofStatus(style, "cancelled"),
      dependents.cancelled === 0 ? "" : `${number(dependents.cancelled)} of them with a task that they depend on`
    ]
  ]
  const digits = Math.max(...rows.map(([, value]) => number(value).length))
  return rows.map(([label, value, paint, note]) => {
    const figure = `${pad(label, 11)}  ${pad(number(value), digits, "right")}`
    const shown = value === 0 ? style.dim(figure) : paint(figure)
    const room = columns - margin.length - figure.length - 2
    return note === "" ? margin + shown : `${margin}${shown}  ${style.dim(fit(note, room))}`
  })
}

const waitingNote = ({ counts: { waiting }, dependents: { blocked } }: Snapshot): string => {
  if (waiting === 0) return ""
  const all = `${number(waiting)} of them ${waiting === 1 ? "waits" : "wait"} for other tasks`
  return blocked === 0 ? all : `${all}, ${number(blocked)} for one that failed or was cancelled`
}

const maxQueues = 20

/** A line for each queue; none for a single queue. */
const queueLines = ({ queues }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  if (queues.length < 2) return []
  const shown = queues.slice(0, maxQueues)
  const width = Math.min(40, Math.max(...shown.map(({ queue }) => firstLine(queue).length)))
  const rest = queues.length - shown.length
  return [
    "",
    style.bold("Queues"),
    ...shown.map((queue) => {
      const { completed, failed, in_progress, in_review, pending } = queue
      const parts = [
        `${number(completed)} of ${number(completed + failed + in_progress + in_review + pending)} completed`,
        ...(failed === 0 ? [] : [`${number(failed)} failed`]),
        ...(in_progress === 0 ? [] : [`${number(in_progress)} in progress`]),
        ...(in_review === 0 ? [] : [`${number(in_review)} in review`])
      ]
      return fit(`${margin}${pad(fit(firstLine(queue.queue), width), width)}  ${parts.join(", ")}`, columns)
    }),
    ...(rest > 0 ? [`${margin}and ${count(rest, "more", "more")}`] : [])
  ]
}

const failedNote = ({ counts, dependents }: Snapshot): string => {
  if (counts.failed === 0) return ""
  const because =
    dependents.failed === 0 ? "" : `, ${number(dependents.failed)} of them because of a task that they depend on`
  return `in the dead-letter queue${because}`
}

const inProgressNote = ({ claimed, oldestRunning }: Snapshot): string =>
  [
    ...(claimed === 0 ? [] : [`${number(claimed)} of them claimed and not started`]),
    ...(oldestRunning === undefined
      ? []
      : [`oldest: ${firstLine(oldestRunning.id)}, ${elapsed(Duration.seconds(oldestRunning.seconds))}`])
  ].join("; ")

const usedLines = ({ usage: used }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> =>
  used === undefined ? [] : ["", `${style.bold("Used")}  ${fit(usage(used), columns - 6)}`]

/** One line for the budget of the only queue, and a list for several. */
const budgetReport = ({ budgets, queues }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  const [first, ...others] = budgets
  if (first === undefined) return []
  if (others.length === 0 && queues.length < 2) {
    return ["", `${style.bold("Budget")}  ${fit(budgetText(first), columns - 8)}`]
  }
  return ["", style.bold("Budgets"), ...budgetLines(budgets).map((line) => fit(`${margin}${line}`, columns))]
}

const concurrencyLines = (
  { concurrency }: Snapshot,
  { columns, style }: Canvas,
  now: number
): ReadonlyArray<string> => {
  if (concurrency.length === 0) return []
  const lines = concurrency.map(({ at, concurrency, queue, worker }) => {
    const who = worker === undefined ? "each worker" : `the worker ${firstLine(worker)}`
    const tasks = concurrency === undefined ? "as many tasks as at its start" : `up to ${count(concurrency, "task")}`
    const since = elapsed(Duration.millis(Math.max(0, now - at.epochMilliseconds)))
    return `${firstLine(queue)}: ${who} runs ${tasks} at a time, set ${since} ago`
  })
  return ["", style.bold("Concurrency"), ...lines.map((line) => fit(`${margin}${line}`, columns))]
}

const deadLetterLines = ({ counts, deadLetters }: Snapshot, { columns, style }: Canvas): ReadonlyArray<string> => {
  if (deadLetters.feedback.length === 0) return []
  const digits = Math.max(...deadLetters.feedback.map((group) => number(group.count).length))
  const part = deadLetters.examined < counts.failed ? ` (of the first ${number(deadLetters.examined)})` : ""
  return [
    "",
    style.bold(`Failures by cause${part}`),
    ...deadLetters.feedback.map(
      (group) =>
        `${margin}${style.red(pad(number(group.count), digits, "right"))}  ` +
        fit(group.text, columns - margin.length - digits - 2)
    )
  ]
}

/** Useful commands, the most useful first. */
const nextSteps = ({
  counts,
  paused,
  pauses,
  queues,
  total
}: Snapshot): ReadonlyArray<readonly [command: string, why: string]> => {
  const ready = counts.pending - counts.waiting
  const idle = counts.in_progress === 0
  const steps: ReadonlyArray<readonly [boolean, string, string]> = [
    [paused, "resume", "end the pause"],
    [pauses.length > 0, `resume --queue ${firstLine(pauses[0]?.queue ?? "")}`, "end the pause of the queue"],
    [total === 0, "add 'TEXT'", "add a task"],
    [total === 0, "run tasks.jsonl", "run a list"],
    [counts.in_review > 0, "review", "decide about the outputs in review"],
    [counts.failed > 0, "dlq list", "list failed tasks and the causes"],
    [counts.failed > 0, "dlq requeue --all", "make failed tasks pending again"],
    [ready > 0 && idle && !paused, queues.length < 2 ? "run" : "run --queue QUEUE", "run the pending tasks"],
    [
      counts.waiting > 0 && ready === 0 && idle,
      "list --status pending",
      "list tasks that depend on tasks that did not complete"
    ],
    [!idle, "status --watch", "watch the progress"],
    [counts.completed > 0 && idle && ready <= 0, "export --format csv", "export the results"]
  ]
  return steps.flatMap(([applies, step, why]) => (applies ? [[step, why] as const] : []))
}

const maxBatches = 5

/** The oldest pending batches with a heading; empty without batches. */
export const batchLines = (
  { batches }: Pick<Snapshot, "batches">,
  { columns, style }: Canvas
): ReadonlyArray<string> => {
  if (batches.length === 0) return []
  const total = batches.reduce((sum, { requests }) => sum + requests, 0)
  const rest = batches.length - maxBatches
  return [
    "",
    style.bold(`Pending batches: ${count(total, "request")} in ${count(batches.length, "batch", "batches")}`),
    ...batches.slice(0, maxBatches).map(({ id, requests, seconds }) => {
      const name = id === undefined ? "creation not confirmed" : firstLine(id)
      return fit(`  ${count(requests, "request")} for ${elapsed(Duration.seconds(seconds))}  ${name}`, columns)
    }),
    ...(rest > 0 ? [`  and ${count(rest, "more", "more")}`] : []),
    style.dim("  A run with --batch collects the results.")
  ]
}
