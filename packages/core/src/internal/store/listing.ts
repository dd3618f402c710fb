import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type { Task } from "../../Task.ts"
import type { DumpQuery, ListQuery, TaskPage } from "../../TaskStore.ts"
import type { TaskRow, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"

const defaultPageSize = 100

/** Reads pages of tasks and of records. `maxRows` is the most rows of one call of the driver. */
export const make = (driver: TaskStoreDriver, maxRows: number) => {
  const decoded = <A>(read: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.fromResult(Codec.decode(driver.place, read))

  /** A page of rows; the cursor is the `seq` of its last row, so tasks that come or go move nothing. */
  const page = Effect.fnUntraced(function* <Row extends { readonly seq: unknown }>(
    { cursor = "0", limit = defaultPageSize }: DumpQuery,
    read: (after: number, limit: number) => Effect.Effect<ReadonlyArray<Row>, TaskStoreError>
  ): Effect.fn.Return<{ readonly rows: ReadonlyArray<Row>; readonly next: string | null }, TaskStoreError> {
    if (!/^\d{1,15}$/.test(cursor)) {
      return yield* new TaskStoreError({
        reason: "Unusable",
        message: "This cursor is not one of this store's: list without one."
      })
    }
    // One more than asked for shows whether there is a next page.
    const wanted = Math.max(1, limit) + 1
    const rows: Array<Row> = []
    let after = Number(cursor)
    while (rows.length < wanted) {
      const size = Math.min(wanted - rows.length, maxRows)
      const part = yield* read(after, size)
      for (const row of part) rows.push(row)
      const last = part.at(-1)
      if (last === undefined || part.length < size) break
      after = yield* decoded(() => Codec.seq(last))
    }
    if (rows.length < wanted) return { rows, next: null }
    rows.pop()
    const last = rows.at(-1)
    return { rows, next: last === undefined ? null : String(yield* decoded(() => Codec.seq(last))) }
  })

  /** Goes through the tasks until a page is full. */
  const search = Effect.fnUntraced(function* (
    { cursor, limit = defaultPageSize }: ListQuery,
    read: (after: number, limit: number) => Effect.Effect<ReadonlyArray<TaskRow>, TaskStoreError>,
    { decode, matches }: { readonly decode: (row: TaskRow) => Task; readonly matches: (task: Task) => boolean }
  ): Effect.fn.Return<TaskPage, TaskStoreError> {
    const tasks: Array<Task> = []
    let last = cursor ?? null
    let next: string | null | undefined = cursor
    while (next !== null) {
      // Small enough for a page of tasks with large results.
      const part: { readonly rows: ReadonlyArray<TaskRow>; readonly next: string | null } = yield* page(
        { cursor: next, limit: defaultPageSize },
        read
      )
      for (const row of part.rows) {
        const task = yield* decoded(() => decode(row))
        if (!matches(task)) continue
        if (tasks.length === limit) return { tasks, next: last }
        tasks.push(task)
        last = String(yield* decoded(() => Codec.seq(row)))
      }
      next = part.next
    }
    return { tasks, next: null }
  })

  const list = (query: ListQuery = {}): Effect.Effect<TaskPage, TaskStoreError> => {
    const status = query.status ?? null
    const queue = query.queue ?? null
    const { results = true } = query
    const part = (after: number, limit: number) => driver.list({ after, limit, status, queue, results })
    const decode = (row: TaskRow) => Codec.listedTask(row, results)
    const matches = matcher(query)
    return matches === undefined
      ? Effect.flatMap(page(query, part), ({ next, rows }) => decoded(() => ({ tasks: rows.map(decode), next })))
      : search(query, part, { decode, matches })
  }

  const dump = (query: DumpQuery = {}) =>
    Effect.flatMap(
      page(query, (after, limit) => driver.dump({ after, limit })),
      ({ next, rows }) => decoded(() => ({ records: rows.map(Codec.record), next }))
    )

  return { list, dump }
}

/** Whether a task is one that the query asks for, beyond status and queue; undefined when it asks for nothing else. */
const matcher = ({ metadata, text, updatedSince }: ListQuery): ((task: Task) => boolean) | undefined => {
  if (metadata === undefined && text === undefined && updatedSince === undefined) return undefined
  const wanted = text?.toLowerCase()
  const entries = Object.entries(metadata ?? {})
  return (task) =>
    (updatedSince === undefined || DateTime.isGreaterThanOrEqualTo(task.updatedAt, updatedSince)) &&
    (wanted === undefined ||
      task.id.toLowerCase().includes(wanted) ||
      task.description.toLowerCase().includes(wanted)) &&
    entries.every(([key, value]) => Equal.equals(task.metadata[key], value))
}
