/** Tables of tasks, for people. */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Duration from "effect/Duration"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { pages } from "@baton/core/TaskPages"
import { cost as costOf, age, count, number } from "./quantity.ts"
import { firstLine, reasonLine, safe, safeText } from "./safeText.ts"
import * as Style from "./style.ts"
import { type Canvas, type Column, lines } from "./table.ts"
import { byPage, canvas, writeAll } from "./stdout.ts"
import { jsonArray } from "./json.ts"
import { printMessage } from "./stderr.ts"

/** The status as shown to people. */
export const statusWord = (task: Pick<Task, "status">): string => task.status.replace("_", " ")

/** The status of a task as shown to people. A task that a worker has claimed ahead and not started is not in progress for them. */
export const taskWord = (task: Pick<Task, "status" | "startedAt">): string =>
  isClaimed(task) ? "claimed" : statusWord(task)

/** Whether a worker has the task and has not started it. */
export const isClaimed = ({ startedAt, status }: Pick<Task, "status" | "startedAt">): boolean =>
  status === "in_progress" && startedAt === undefined

/** The colour of a task's status. */
export const ofTask = (style: Style.Style, task: Pick<Task, "status" | "startedAt">): Style.Paint =>
  Style.ofStatus(style, isClaimed(task) ? "pending" : task.status)

const changed = (task: Task, now: number): string => age(Duration.millis(now - task.updatedAt.epochMilliseconds))

/** The columns of `baton list`. The columns for queue, priority, key and cost are shown only if they say something. */
export const taskColumns =
  ({ style }: Canvas, now: number) =>
  (first: ReadonlyArray<Task>): ReadonlyArray<Column<Task>> => {
    const priority: Column<Task> = { header: "PRIORITY", align: "right", text: (task) => String(task.priority) }
    const key: Column<Task> = { header: "KEY", text: (task) => firstLine(task.concurrencyKey ?? "") }
    const queue: Column<Task> = { header: "QUEUE", text: (task) => firstLine(task.queue) }
    const cost: Column<Task> = {
      header: "COST",
      align: "right",
      text: ({ usage }) => (usage === undefined ? "" : costOf(usage).replace("cost unknown", "unknown"))
    }
    return [
      { header: "ID", flexible: true, text: (task) => firstLine(task.id) },
      ...(new Set(first.map((task) => task.queue)).size > 1 ? [queue] : []),
      { header: "STATUS", text: taskWord, paint: (task) => ofTask(style, task) },
      { header: "ATTEMPTS", align: "right", text: (task) => String(task.attempts) },
      ...(first.some((task) => task.priority !== 0) ? [priority] : []),
      ...(first.some((task) => task.concurrencyKey !== undefined) ? [key] : []),
      ...(first.some((task) => task.usage !== undefined) ? [cost] : []),
      { header: "CHANGED", align: "right", text: (task) => changed(task, now), paint: () => style.dim },
      { header: "DESCRIPTION", text: (task) => firstLine(task.description) }
    ]
  }

/** The columns of `baton dlq list`. */
export const deadLetterColumns =
  ({ style }: Canvas, now: number) =>
  (): ReadonlyArray<Column<Task>> => [
    { header: "ID", flexible: true, text: (task) => firstLine(task.id) },
    { header: "ATTEMPTS", align: "right", text: (task) => String(task.attempts) },
    { header: "CHANGED", align: "right", text: (task) => changed(task, now), paint: () => style.dim },
    { header: "FEEDBACK", text: (task) => reasonLine(task.feedback ?? "") || "no feedback" }
  ]

/** The limit on a terminal. */
const terminalLimit = 100

/**
 * Prints tasks as a table or as one JSON array. Without `limit` and `all`, a table on a terminal is limited to a hundred
 * tasks.
 */
export const printTable = Effect.fnUntraced(function* (options: {
  readonly status: TaskStatus | undefined
  readonly limit: number | undefined
  readonly all: boolean
  readonly json: boolean
  /** Which of these tasks to print; all of them if left out. */
  readonly matches?: ((task: Task) => boolean) | undefined
  readonly columns: (canvas: Canvas, now: number) => (first: ReadonlyArray<Task>) => ReadonlyArray<Column<Task>>
  /** The message if there are no tasks. */
  readonly nothing: string
}) {
  const { status } = options
  const stdio = yield* Stdio.Stdio
  const bounded = !options.all && !options.json && (yield* stdio.stdoutIsTerminal)
  const limit = options.limit ?? (bounded ? terminalLimit : undefined)
  const found = pages({ status, results: options.json, limit: options.matches === undefined ? limit : undefined })
  const tasks =
    options.matches === undefined
      ? found
      : found.pipe(Stream.filter(options.matches), limit === undefined ? identity : Stream.take(limit))
  if (options.json) return yield* writeAll(byPage(jsonArray(tasks)))
  const store = yield* TaskStore
  const counts = yield* store.counts
  const { waiting: _, ...ofStatus } = counts
  const total = status === undefined ? Object.values(ofStatus).reduce((sum, n) => sum + n, 0) : counts[status]
  if (total === 0) return yield* printMessage(safeText(options.nothing))
  const shown = yield* canvas
  const now = yield* Clock.currentTimeMillis
  const table = lines(options.columns(shown, now), shown)(tasks)
  yield* writeAll(byPage(Stream.map(table, (line) => `${line}\n`)))
  if (options.limit === undefined && bounded && terminalLimit < total) {
    yield* printMessage(
      safe`\nShowing the first ${number(terminalLimit)} of ${count(total, "task")}. Add --all to show all.`
    )
  }
})
