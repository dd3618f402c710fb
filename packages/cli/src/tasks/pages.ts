/**
 * All tasks of a store as a stream, of which only a page is in memory.
 *
 * @since 0.1.0
 */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** Enough that a page costs more than asking for it, few enough that a page of long results fits in memory. */
const pageSize = 200

/**
 * Tasks in the order they were added. A task that changes its status while they are read may be seen or not; none is seen
 * twice.
 *
 * @category streams
 * @since 0.1.0
 */
export const pages = (options?: {
  readonly status?: TaskStatus | undefined
  /** At most this many. */
  readonly limit?: number | undefined
}): Stream.Stream<Task, TaskStoreError, TaskStore> =>
  Stream.unwrap(
    Effect.map(TaskStore, (store) =>
      Stream.paginate(
        { cursor: undefined as string | undefined, left: options?.limit ?? Infinity },
        ({ cursor, left }) =>
          left <= 0
            ? Effect.succeed([[], Option.none()] as const)
            : Effect.map(
                store.list({ status: options?.status, limit: Math.min(pageSize, left), cursor }),
                ({ next, tasks }) =>
                  [
                    tasks,
                    next === null ? Option.none() : Option.some({ cursor: next, left: left - tasks.length })
                  ] as const
              )
      )
    )
  )
