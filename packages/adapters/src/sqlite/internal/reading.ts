import * as Result from "effect/Result"
import type { ListQuery, Selection, TaskPage, WorkSignal } from "@baton/core/TaskStore"
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

/** The cursor is the `seq` of the last task of the page before, so tasks that come or go move nothing. */
export const page = (sql: Statements, query: ListQuery): Result.Result<TaskPage, TaskStoreError> => {
  const { cursor = "0", limit = defaultPageSize, status } = query
  if (!/^\d{1,15}$/.test(cursor)) {
    return Result.fail(Errors.unusable("This cursor is not one of this store's: list without one."))
  }
  const size = Math.max(1, limit)
  const read = status === undefined ? sql.page : sql.pageOf[status]
  // One more than asked for tells whether there is a next page.
  const rows = read(Number(cursor), size + 1)
  const shown = rows.slice(0, size)
  const last = rows.length > size ? shown.at(-1) : undefined
  return Result.succeed({
    tasks: shown.map(Rows.task),
    next: last === undefined ? null : String(Rows.int(last.seq))
  })
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
