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
  ): Effect.fn.Return<{ readonly rows: ReadonlyArray<Row>; readonly next?: string | undefined }, TaskStoreError> {
    let after = yield* seqOfCursor(cursor)
    // One more than asked for shows whether there is a next page.
    const wanted = Math.max(1, limit) + 1
    const rows: Array<Row> = []
    while (rows.length < wanted) {
      const size = Math.min(wanted - rows.length, maxRows)
      const part = yield* read(after, size)
      for (const row of part) rows.push(row)
      const last = part.at(-1)
      if (last === undefined || part.length < size) break
      after = yield* decoded(() => Codec.seq(last))
    }
    if (rows.length < wanted) return { rows }
    rows.pop()
    const last = rows.at(-1)
    return { rows, next: last === undefined ? undefined : String(yield* decoded(() => Codec.seq(last))) }
  })

  /** Goes through the tasks until a page is full. */
  const search = Effect.fnUntraced(function* (
    { cursor = "0", limit = defaultPageSize, queue, results = true, status, text }: ListQuery,
    { decode, matches }: { readonly decode: (row: TaskRow) => Task; readonly matches: (task: Task) => boolean }
  ): Effect.fn.Return<TaskPage, TaskStoreError> {
    const wanted = text === undefined ? "" : lowerCase(text)
    const contains = wanted === "" ? null : comparable(wanted)
    const mayMatch = (row: TaskRow) =>
      wanted === "" ||
      lowerCase(Codec.text("id", row.id)).includes(wanted) ||
      lowerCase(Codec.text("description", row.description)).includes(wanted)
    // Small enough for tasks with large results.
    const size = Math.min(results ? defaultPageSize : 5 * defaultPageSize, maxRows)
    const tasks: Array<Task> = []
    let after = yield* seqOfCursor(cursor)
    let last = after
    while (true) {
      const rows = yield* driver.list({
        after,
        limit: size,
        status: status ?? null,
        queue: queue ?? null,
        results,
        contains
      })
      for (const row of rows) {
        const task = yield* decoded(() => (mayMatch(row) ? decode(row) : undefined))
        after = yield* decoded(() => Codec.seq(row))
        if (task === undefined || !matches(task)) continue
        if (tasks.length === limit) return { tasks, next: String(last) }
        tasks.push(task)
        last = after
      }
      if (rows.length === 0 || (contains === null && rows.length < size)) return { tasks }
    }
  })

  const list = (query: ListQuery = {}): Effect.Effect<TaskPage, TaskStoreError> => {
    const { queue, results = true, status } = query
    const decode = (row: TaskRow) => Codec.listedTask(row, results)
    const matches = matcher(query)
    if (matches !== undefined) return search(query, { decode, matches })
    const part = (after: number, limit: number) =>
      driver.list({ after, limit, status: status ?? null, queue: queue ?? null, results, contains: null })
    return Effect.flatMap(page(query, part), ({ next, rows }) => decoded(() => ({ tasks: rows.map(decode), next })))
  }

  const dump = (query: DumpQuery = {}) =>
    Effect.flatMap(
      page(query, (after, limit) => driver.dump({ after, limit, queue: query.queue ?? null })),
      ({ next, rows }) => decoded(() => ({ records: rows.map(Codec.record), next }))
    )

  return { list, dump }
}

const seqOfCursor = (cursor: string): Effect.Effect<number, TaskStoreError> =>
  /^\d{1,15}$/.test(cursor)
    ? Effect.succeed(Number(cursor))
    : Effect.fail(
        new TaskStoreError({
          reason: "Unusable",
          message: "This cursor is not one of this store's: list without one."
        })
      )

/** In lower case, except for the two letters whose lower case has letters of ASCII: databases do not know that. */
const lowerCase = (text: string): string => text.replaceAll(/[^\u0130\u212a]+/g, (part) => part.toLowerCase())

/** The longest part of a text in lower case that databases compare as JavaScript does: letters of ASCII, and those without case. */
const comparable = (text: string): string | null => {
  const parts = text.match(/(?:(?!\p{Cc})\p{ASCII}|[\p{Lo}\p{N}])+/gu) ?? []
  return parts.reduce((longest, part) => (part.length > longest.length ? part : longest), "") || null
}

/** Whether a task is one that the query asks for, beyond status, queue and text; undefined when it asks for nothing else. */
const matcher = ({ metadata, text, updatedSince }: ListQuery): ((task: Task) => boolean) | undefined => {
  if (metadata === undefined && text === undefined && updatedSince === undefined) return undefined
  const entries = Object.entries(metadata ?? {})
  return (task) =>
    (updatedSince === undefined || DateTime.isGreaterThanOrEqualTo(task.updatedAt, updatedSince)) &&
    entries.every(([key, value]) => Equal.equals(task.metadata[key], value))
}
