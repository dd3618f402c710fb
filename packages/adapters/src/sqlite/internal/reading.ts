import * as Result from "effect/Result"
import type { Attempt } from "@baton/core/Attempt"
import type { TaskId } from "@baton/core/Task"
import type { DumpQuery, ListQuery, RecordPage, Selection, TaskPage, WorkSignal } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import { find, findAll } from "./transitions.ts"

/** When the next task is available, in epoch milliseconds; exact only if it is after `now`. */
export const nextAvailable = (sql: Statements, now: number): number => {
  let earliest = Infinity
  let upTo = Number.MAX_SAFE_INTEGER
  while (earliest > now) {
    const level = sql.priority(upTo)
    if (level === undefined) break
    earliest = Math.min(earliest, Rows.int(level.available_at))
    upTo = Rows.int(level.priority) - 1
  }
  return earliest
}

/** When the first lease ends, in epoch milliseconds. */
export const leaseEnd = (sql: Statements): number => {
  const row = sql.leaseEnd()
  return row === undefined ? Infinity : Rows.int(row.lease_until)
}

/** What `awaitWork` has to say, or until when it can sleep if nobody wakes it. */
export const outlook = (sql: Statements, now: number, untilDrained: boolean): WorkSignal | number => {
  const due = Math.min(leaseEnd(sql), nextAvailable(sql, now))
  if (due <= now) return "claimable"
  if (!untilDrained) return due
  const { in_progress, pending, waiting } = Rows.counts(sql.store())
  return in_progress === 0 && pending === waiting ? "drained" : due
}

const defaultPageSize = 100

/** A part of the tasks, and the cursor of the next part if there is one. */
interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | null
}

/** The cursor is the `seq` of the last task of the page before, so tasks that come or go move nothing. */
const page = <A>(
  read: (after: number, limit: number) => ReadonlyArray<Rows.Row>,
  decode: (row: Rows.Row) => A,
  { cursor = "0", limit = defaultPageSize }: DumpQuery
): Result.Result<Page<A>, TaskStoreError> => {
  if (!/^\d{1,15}$/.test(cursor)) {
    return Result.fail(Errors.unusable("This cursor is not one of this store's: list without one."))
  }
  const size = Math.max(1, limit)
  // One more than asked for tells whether there is a next page.
  const rows = read(Number(cursor), size + 1)
  const shown = rows.slice(0, size)
  const last = rows.length > size ? shown.at(-1) : undefined
  return Result.succeed({ items: shown.map(decode), next: last === undefined ? null : String(Rows.seq(last)) })
}

export const list = (sql: Statements, query: ListQuery = {}): Result.Result<TaskPage, TaskStoreError> =>
  Result.map(
    page(query.status === undefined ? sql.page : sql.pageOf[query.status], Rows.task, query),
    ({ items, next }) => ({ tasks: items, next })
  )

export const attempts = (sql: Statements, id: TaskId): ReadonlyArray<Attempt> => {
  const key = Rows.toText(id)
  return sql.attempts(key, key, key).map(Rows.attempt(id))
}

/** Several statements: run it in a snapshot. */
export const dump = (sql: Statements, query: DumpQuery = {}): Result.Result<RecordPage, TaskStoreError> => {
  const record = (row: Rows.Row) =>
    Rows.record(row, attempts(sql, Rows.id(row)), new Set(sql.dependenciesOf(Rows.seq(row)).map(Rows.dependency)))
  return Result.map(page(sql.page, record, query), ({ items, next }) => ({ records: items, next }))
}

/** As many tasks as one transaction changes where a call can mean any number: other processes write in between. */
export const chunkSize = 1000

/** A part of a selection, in its order, and where the next part starts if there is one. */
export const findChunk = (sql: Statements, selection: Selection, after: number) => {
  if ("status" in selection) {
    const found = findAll(sql, selection.status, after, chunkSize)
    return { found, next: found.length < chunkSize ? undefined : found.at(-1)?.seq }
  }
  // A task that is named twice is changed once.
  const ids = Array.from(new Set(selection.ids))
  const end = after + chunkSize
  const found = ids.slice(after, end).flatMap((id) => find(sql, id))
  return { found, next: end < ids.length ? end : undefined }
}
