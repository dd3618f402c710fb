/**
 * Prints a list of tasks.
 *
 * @since 0.1.0
 */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { canvas } from "./canvas.ts"
import { writeAll } from "./stdout.ts"
import { count, number } from "./quantity.ts"
import { type Canvas, type Column, lines } from "./table.ts"
import { byPage } from "./byPage.ts"
import { jsonArray } from "./taskJson.ts"
import { pages } from "../system/pages.ts"

/** What fits on a few screens: a million lines on a terminal help nobody. */
const onTerminal = 100

/**
 * Prints tasks as a table, or as one JSON array. On a terminal the first hundred, elsewhere all of them, unless `limit` or
 * `all` say otherwise.
 *
 * @category running
 * @since 0.1.0
 */
export const printTable = Effect.fnUntraced(function* (options: {
  readonly status: TaskStatus | undefined
  readonly limit: number | undefined
  readonly all: boolean
  readonly json: boolean
  readonly columns: (canvas: Canvas, now: number) => (first: ReadonlyArray<Task>) => ReadonlyArray<Column<Task>>
  /** Said when there is nothing to show. */
  readonly nothing: string
}) {
  const { status } = options
  const stdio = yield* Stdio.Stdio
  const bounded = !options.all && !options.json && (yield* stdio.stdoutIsTerminal)
  const limit = options.limit ?? (bounded ? onTerminal : undefined)
  const tasks = pages({ status, limit })
  if (options.json) return yield* writeAll(byPage(jsonArray(tasks)))
  const store = yield* TaskStore
  const counts = yield* store.counts
  const { waiting: _, ...ofStatus } = counts
  const total = status === undefined ? Object.values(ofStatus).reduce((sum, n) => sum + n, 0) : counts[status]
  if (total === 0) return yield* Console.error(options.nothing)
  const shown = yield* canvas
  const now = yield* Clock.currentTimeMillis
  const table = lines(options.columns(shown, now), shown)(tasks)
  yield* writeAll(byPage(Stream.map(table, (line) => `${line}\n`)))
  if (options.limit === undefined && bounded && onTerminal < total) {
    yield* Console.error(`\nThe first ${number(onTerminal)} of ${count(total, "task")}: --all shows them all.`)
  }
})
