/**
 * Streams of all tasks of a store, of which only one page is in memory.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Task, TaskStatus } from "./Task.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import { TaskStore } from "./TaskStore.ts"
import type { TaskStoreError } from "./TaskStoreError.ts"

/** The target size of a page: large compared to the cost of a request, and small enough for memory. */
const charactersPerPage = 4 * 1024 * 1024
const maxTasksPerPage = 1000
/** The first page is small, because each result can have ten megabytes. */
const firstPageSize = 20

interface Position {
  readonly cursor: string | undefined
  readonly left: number
  readonly size: number
}

/** The values of all pages. The size of a page adapts to the size of the values. */
const inPages = <A>(
  options: { readonly limit?: number | undefined; readonly maxPageSize: number },
  charactersOf: (value: A) => number,
  read: (page: {
    readonly limit: number
    readonly cursor: string | undefined
  }) => Effect.Effect<{ readonly values: ReadonlyArray<A>; readonly next?: string | undefined }, TaskStoreError>
): Stream.Stream<A, TaskStoreError> => {
  const { limit = Infinity, maxPageSize } = options
  const sizeAfter = (values: ReadonlyArray<A>): number => {
    const characters = values.reduce((sum, value) => sum + charactersOf(value), 1)
    return Math.min(maxPageSize, Math.max(1, Math.floor((charactersPerPage * values.length) / characters)))
  }
  const start: Position = { cursor: undefined, left: limit, size: Math.min(firstPageSize, maxPageSize) }
  return Stream.paginate(start, ({ cursor, left, size }) =>
    Effect.map(read({ limit: Math.min(size, left), cursor }), ({ next, values }) => {
      const more = left - values.length
      // A page without tasks of the queue says nothing about their size.
      const following = values.length === 0 ? size : sizeAfter(values)
      const position = next === undefined || more <= 0 ? undefined : { cursor: next, left: more, size: following }
      return [values, Option.fromUndefinedOr(position)] as const
    })
  )
}

const charactersOfTask = ({ description, result }: Task): number => description.length + (result?.length ?? 0)

/**
 * Tasks in the order in which they were added. A task that changes its status during the read may be missing, but no task
 * appears twice.
 *
 * @category combinators
 * @since 0.2.0
 */
export const pages = (options?: {
  readonly status?: TaskStatus | undefined
  /** The maximum number of tasks. */
  readonly limit?: number | undefined
  /** Whether the tasks have their results. Default true. */
  readonly results?: boolean | undefined
}): Stream.Stream<Task, TaskStoreError, TaskStore> =>
  Stream.unwrap(
    Effect.map(TaskStore, (store) => {
      const { limit, results, status } = options ?? {}
      return inPages({ limit, maxPageSize: maxTasksPerPage }, charactersOfTask, (page) =>
        Effect.map(store.list({ status, results, ...page }), ({ next, tasks }) => ({ values: tasks, next }))
      )
    })
  )

const charactersOfRecord = ({ attempts, task }: TaskRecord): number =>
  attempts.reduce((sum, { execution }) => sum + (execution?.output.length ?? 0), charactersOfTask(task))

/**
 * All records of a store, or those of one queue, with their attempts, in the order in which they were added.
 *
 * @category combinators
 * @since 0.2.0
 */
export const records = (
  store: TaskStore["Service"],
  { queue, ...options }: { readonly maxPageSize: number; readonly queue?: string | undefined }
): Stream.Stream<TaskRecord, TaskStoreError> =>
  inPages(options, charactersOfRecord, (page) =>
    Effect.map(store.dump({ queue, ...page }), ({ next, records }) => ({ values: records, next }))
  )
