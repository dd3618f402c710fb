/** All tasks of a store as a stream, of which only a page is in memory. */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** So much text makes a page: asking for it costs little beside it, and it fits into any memory. */
const pageText = 4 * 1024 * 1024
const mostTasks = 200
/** The first page: results can be ten megabytes each. */
const firstTasks = 20

interface Position {
  readonly cursor: string | undefined
  readonly left: number
  readonly size: number
}

/**
 * Tasks in the order they were added. A task that changes its status while they are read may be seen or not; none is seen
 * twice. Pages are smaller where tasks are larger.
 */
export const pages = (options?: {
  readonly status?: TaskStatus | undefined
  /** At most this many. */
  readonly limit?: number | undefined
}): Stream.Stream<Task, TaskStoreError, TaskStore> => {
  const start: Position = { cursor: undefined, left: options?.limit ?? Infinity, size: firstTasks }
  return Stream.unwrap(
    Effect.map(TaskStore, (store) =>
      Stream.paginate(start, ({ cursor, left, size }) =>
        Effect.map(store.list({ status: options?.status, limit: Math.min(size, left), cursor }), ({ next, tasks }) => {
          const more = left - tasks.length
          const position = next === null || more <= 0 ? undefined : { cursor: next, left: more, size: sizeAfter(tasks) }
          return [tasks, Option.fromUndefinedOr(position)] as const
        })
      )
    )
  )
}

const sizeAfter = (tasks: ReadonlyArray<Task>): number => {
  const text = tasks.reduce((sum, task) => sum + task.description.length + (task.result?.length ?? 0), 1)
  return Math.min(mostTasks, Math.max(1, Math.floor((pageText * tasks.length) / text)))
}
