/** Streams of all tasks of a store; only one page is in memory. */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskRecord } from "@baton/core/TaskRecord"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** The target size of a page: large compared to the cost of a request, and small enough for memory. */
const charactersPerPage = 4 * 1024 * 1024
const maxTasksPerPage = 200
/** The first page is small, because each result can have ten megabytes. */
const firstPageSize = 20

interface Position {
  readonly cursor: string | undefined
  readonly left: number
  readonly size: number
}

/**
 * Tasks in the order in which they were added. A task that changes its status during the read may be missing, but no task
 * appears twice. The size of a page adapts to the size of the tasks.
 */
export const pages = (options?: {
  readonly status?: TaskStatus | undefined
  /** The maximum number of tasks. */
  readonly limit?: number | undefined
}): Stream.Stream<Task, TaskStoreError, TaskStore> => {
  const start: Position = { cursor: undefined, left: options?.limit ?? Infinity, size: firstPageSize }
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
  return Math.min(maxTasksPerPage, Math.max(1, Math.floor((charactersPerPage * tasks.length) / text)))
}

/** All records of a store, with their attempts, in the order in which they were added. */
export const records = (
  store: TaskStore["Service"],
  options: { readonly pageSize: number }
): Stream.Stream<TaskRecord, TaskStoreError> => {
  const start: string | undefined = undefined
  return Stream.paginate<string | undefined, TaskRecord, TaskStoreError, never>(start, (cursor) =>
    Effect.map(
      store.dump({ limit: options.pageSize, cursor }),
      ({ next, records }) => [records, Option.map(Option.fromNullOr(next), (next): string | undefined => next)] as const
    )
  )
}
