import * as Schema from "effect/Schema"
import { TaskStatus } from "@baton/core/Task"
import type { Writing } from "./connection.ts"
import { stateColumns } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import type * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** What the transitions of tasks share: the state of a task, and the counts of its queue. */

/** The statements that every transition uses. */
export const statements = ({ first, run }: Preparing) => ({
  state: first<[id: string]>(`SELECT ${stateColumns} FROM tasks WHERE id = ?`),

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
      WHERE queue = ?`)
})

/** The last day that a date can name; a longer delay means that the task does not become available by itself. */
const endOfTime = 8.64e15

export const later = (now: number, millis: number): number => Math.min(now + millis, endOfTime)

/** The number of tasks that a write moves into each status, or out of it. */
export const noTasks = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }

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
  for (const [queue, { cancelled, completed, failed, in_progress, in_review, pending, waiting }] of tallies) {
    if (pending || in_progress || in_review || completed || failed || cancelled || waiting) {
      sql.count(pending, in_progress, in_review, completed, failed, cancelled, waiting, queue)
    }
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

export const move = (tallies: Tallies, { isBlocked, queue, status }: State, to: TaskStatus) => {
  const moved = tallyOf(tallies, queue)
  moved[status]--
  moved[to]++
  if (!isBlocked) return
  if (status === "pending") moved.waiting--
  if (to === "pending") moved.waiting++
}
