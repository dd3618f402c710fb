/**
 * Copies all tasks of one store into another.
 *
 * @since 0.1.0
 */
import type { TaskRecord } from "@baton/core/TaskRecord"
import type { TaskStore } from "@baton/core/TaskStore"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

type Store = TaskStore["Service"]

/** A page is one write of the target: few enough for its history to fit in memory, many enough for a file that is rewritten. */
const pageSize = 500

/**
 * Everything that a store knows of its tasks, in the order they were added; only a page of it is in memory.
 *
 * @category streams
 * @since 0.1.0
 */
export const records = (store: Store): Stream.Stream<TaskRecord, TaskStoreError> =>
  Stream.paginate(undefined as string | undefined, (cursor) =>
    Effect.map(
      store.dump({ limit: pageSize, cursor }),
      ({ next, records }) => [records, next === null ? Option.none() : Option.some(next)] as const
    )
  )

/**
 * How many tasks are being worked on right now: under a lease that has not ended.
 *
 * @category getters
 * @since 0.1.0
 */
export const underLease = Effect.fnUntraced(function* (store: Store): Effect.fn.Return<number, TaskStoreError> {
  if ((yield* store.counts).in_progress === 0) return 0
  const now = yield* Clock.currentTimeMillis
  return yield* Stream.runFold(
    records(store),
    () => 0,
    (count, { leaseUntil }) => (leaseUntil !== null && leaseUntil.epochMilliseconds > now ? count + 1 : count)
  )
})

/**
 * Copies tasks with all there is to know of them, and whether runs are paused. Tells `onPage` how many are copied so far.
 *
 * @category running
 * @since 0.1.0
 */
export const copyRecords = Effect.fnUntraced(function* (options: {
  readonly from: Store
  readonly to: Store
  readonly onPage: (copied: number) => void
}): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
  const { from, onPage, to } = options
  let copied = 0
  yield* Stream.runForEachArray(records(from), (page) =>
    Effect.andThen(
      to.restore(page),
      Effect.sync(() => onPage((copied += page.length)))
    )
  )
  if ((yield* from.control).paused) yield* to.request("pause")
})
