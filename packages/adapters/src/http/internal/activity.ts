/** When the tasks of a queue ended, for a chart. */
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { type Activity, limits } from "./model.ts"
import { read } from "./reading.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** The lengths of an interval that people can read. */
const widths = [1, 2, 5, 10, 15, 30].map((minutes) => minutes * minute).concat(hour, 2 * hour, 6 * hour, 12 * hour, day)

const mostIntervals = 60

const widthFor = (millis: number): number =>
  widths.find((width) => millis / width < mostIntervals - 1) ?? day * Math.ceil(millis / day / (mostIntervals - 1))

/** The number of tasks that completed and failed in each interval, from the first to the last of them. */
export const activity = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  queue: string
): Effect.fn.Return<Activity, TaskStoreError> {
  const ends: Array<{ readonly status: "completed" | "failed"; readonly at: number }> = []
  const { next } = yield* read(store, { queue, limit: limits.activity }, ({ status, updatedAt }) => {
    if (status === "completed" || status === "failed") ends.push({ status, at: updatedAt.epochMilliseconds })
  })
  const complete = next === undefined
  if (ends.length === 0) return { widthMillis: minute, completed: [], failed: [], complete }
  const first = ends.reduce((least, { at }) => Math.min(least, at), Infinity)
  const last = ends.reduce((most, { at }) => Math.max(most, at), 0)
  const widthMillis = widthFor(last - first)
  const start = Math.floor(first / widthMillis)
  const intervals = Math.floor(last / widthMillis) - start + 1
  const counts = { completed: Array<number>(intervals).fill(0), failed: Array<number>(intervals).fill(0) }
  for (const { at, status } of ends) {
    const interval = Math.floor(at / widthMillis) - start
    counts[status][interval] = (counts[status][interval] ?? 0) + 1
  }
  return { start: DateTime.makeUnsafe(start * widthMillis), widthMillis, ...counts, complete }
})
