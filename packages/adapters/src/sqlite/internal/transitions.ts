import * as Schema from "effect/Schema"
import { TaskStatus } from "@baton/core/Task"
import * as UsageSum from "@baton/core/UsageSum"
import type { Writing } from "./connection.ts"
import { isLeased, stateColumns, usageColumns } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import type * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** What the transitions of tasks share: the state of a task, and the counts of its queue. */

/** The statements that every transition uses. */
export const statements = ({ all, first, run }: Preparing) => ({
  state: first<[id: string]>(`SELECT ${stateColumns} FROM tasks WHERE id = ?`),

  usageOfLeased: first<[id: string, token: number]>(`SELECT usage FROM tasks WHERE ${isLeased}`),

  usageOf: first<[seq: number]>("SELECT usage FROM tasks WHERE seq = ?"),

  /** Enough to know whether there is only one. */
  twoQueues: all<[]>("SELECT queue FROM queues LIMIT 2"),

  count: run<
    [
      pending: number,
      inProgress: number,
      inReview: number,
      completed: number,
      failed: number,
      cancelled: number,
      waiting: number,
      queue: number
    ]
  >(`
      UPDATE queues SET
        pending = pending + ?, in_progress = in_progress + ?, in_review = in_review + ?, completed = completed + ?,
        failed = failed + ?, cancelled = cancelled + ?, waiting = waiting + ?
      WHERE queue = ?`),

  countUsage: run<[...sum: ReadonlyArray<number>, queue: number]>(
    `UPDATE queues SET ${usageColumns.map((name) => `${name} = ${name} + ?`).join(", ")} WHERE queue = ?`
  )
})

/** The last day that a date can name; a longer delay means that the task does not become available by itself. */
const endOfTime = 8.64e15

export const later = (now: number, millis: number): number => Math.min(now + millis, endOfTime)

/** The number of tasks that a write moves into each status, or out of it, and how it changes their usage. */
export const noTasks = {
  pending: 0,
  in_progress: 0,
  in_review: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  waiting: 0,
  usage: UsageSum.zero
}

export type Tally = typeof noTasks

/** By queue: the counters of a queue change once per write. */
export type Tallies = Map<number, Tally>

export const tallyOf = (tallies: Tallies, queue: number): Tally => {
  const found = tallies.get(queue)
  if (found !== undefined) return found
  const tally = { ...noTasks }
  tallies.set(queue, tally)
  return tally
}

export const count = ({ sql }: Writing, tallies: Tallies) => {
  for (const [queue, tally] of tallies) {
    const { cancelled, completed, failed, in_progress, in_review, pending, usage, waiting } = tally
    if (pending || in_progress || in_review || completed || failed || cancelled || waiting) {
      sql.count(pending, in_progress, in_review, completed, failed, cancelled, waiting, queue)
    }
    if (usage !== UsageSum.zero) sql.countUsage(...UsageSum.columns.map((name) => usage[name]), queue)
  }
}

export const statusOf: (value: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)

export const decodeState = (row: Rows.Row) => ({
  seq: Number(row.seq),
  id: String(row.id),
  queue: Number(row.queue),
  status: statusOf(row.status),
  isBlocked: Number(row.blockers) > 0,
  attempts: Number(row.attempts),
  token: Number(row.token),
  owner: String(row.owner),
  isStarted: row.started_at !== null,
  updatedAt: Number(row.updated_at)
})

/** What a transition needs to know of a task, read in the transaction that changes it. */
export interface State extends ReturnType<typeof decodeState> {}

export const stateOf = (sql: Statements, id: string): ReadonlyArray<State> => {
  const row = sql.state(id)
  return row === undefined ? [] : [decodeState(row)]
}

type Json = string

/** Notes that the usage of a task in this queue was replaced. */
export const meter = (tallies: Tallies, queue: number, before: Json | null, after: Json | null) => {
  if (before === after) return
  const tally = tallyOf(tallies, queue)
  tally.usage = UsageSum.add(tally.usage, UsageSum.change(before, after))
}

/** A task whose usage was replaced. */
export interface Metered {
  readonly id: string
  readonly before: Json | null
  readonly after: Json | null
}

/** Counts the usage of tasks by queue. In a store with one queue, this reads no task. */
export const meterAll = (sql: Statements, tallies: Tallies, metered: ReadonlyArray<Metered>) => {
  if (metered.length === 0) return
  const [only, another] = sql.twoQueues()
  for (const { after, before, id } of metered) {
    const row = another === undefined ? only : sql.state(id)
    meter(tallies, Number(row?.queue), before, after)
  }
}

export const jsonOrNull = (value: unknown): Json | null =>
  value === null || value === undefined ? null : String(value)

/**
 * Runs a write under a lease that replaces the usage of its task if that still is what the write is given. Most tasks have none
 * until they are settled, so that is tried first, and the usage of the others is read. Returns whether the lease was current.
 */
export const replaceUsage = (
  sql: Statements,
  { id, token, usage }: { readonly id: string; readonly token: number; readonly usage: Json | null },
  metered: Array<Metered>,
  write: (before: Json | null) => boolean
): boolean => {
  let before: Json | null = null
  if (!write(before)) {
    before = jsonOrNull(sql.usageOfLeased(id, token)?.usage)
    if (before === null || !write(before)) return false
  }
  if (before !== usage) metered.push({ id, before, after: usage })
  return true
}

export const move = (tallies: Tallies, { isBlocked, queue, status }: State, to: TaskStatus) => {
  const moved = tallyOf(tallies, queue)
  moved[status]--
  moved[to]++
  if (!isBlocked) return
  if (status === "pending") moved.waiting--
  if (to === "pending") moved.waiting++
}
