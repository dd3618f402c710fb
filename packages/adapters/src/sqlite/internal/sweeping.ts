import type { SweepRequest, SweptRow } from "@baton/core/TaskStoreDriver"
import * as Budgets from "./budgets.ts"
import type { Writing } from "./connection.ts"
import { stateColumns } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import { count, decodeState, move, type Tallies } from "./transitions.ts"

/** The statements that find leases which have expired. */
export const statements = ({ all, first, run }: Preparing) => ({
  leaseEnd: first<[queue: number | null]>(`
      SELECT lease_until FROM tasks INDEXED BY tasks_leased
      WHERE status = 'in_progress' AND queue = ? ORDER BY lease_until LIMIT 1`),

  /** A lease that ends later than any lease that was given can end. The clock was set back since. */
  impossibleLease: first<[queue: number | null, now: number]>(`
      SELECT 1 FROM tasks INDEXED BY tasks_leased
      WHERE status = 'in_progress' AND queue = ?1
        AND lease_until > ?2 + (SELECT longest_lease FROM control WHERE longest_lease > 0) LIMIT 1`),

  shortenLeases: run<[queue: number | null, now: number]>(`
      UPDATE tasks SET lease_until = ?2 + (SELECT longest_lease FROM control)
      WHERE status = 'in_progress' AND queue = ?1
        AND lease_until > ?2 + (SELECT longest_lease FROM control WHERE longest_lease > 0)`),

  /** Read inside the write transaction, so that a heartbeat that was just in time is seen. */
  expired: all<[queue: number | null, now: number, limit: number]>(`
      SELECT ${stateColumns}, IIF(json_valid(overrides), overrides ->> '$.maxAttempts', NULL) AS max_attempts
      FROM tasks INDEXED BY tasks_leased CROSS JOIN task_inputs USING (seq)
      WHERE status = 'in_progress' AND queue = ? AND lease_until <= ? ORDER BY lease_until, seq LIMIT +?`)
})

/** When the first lease in a queue ends, in epoch milliseconds. */
export const leaseEnd = (sql: Statements, queue: number | null): number => {
  const row = sql.leaseEnd(queue)
  return row === undefined ? Infinity : Number(row.lease_until)
}

/** Whether there is a lease to sweep, or one to shorten because the clock was set back. */
export const isSweepable = (sql: Statements, queue: number | null, now: number): boolean =>
  leaseEnd(sql, queue) <= now || sql.impossibleLease(queue, now) !== undefined

export const sweep = (
  writing: Writing,
  { failFromAttempts, limit, message, notStarted, queue }: SweepRequest,
  repair: () => void
): ReadonlyArray<SweptRow> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const queueRow = Rows.queueId(sql.queue(queue))
  sql.shortenLeases(queueRow, now)
  const expired = () => sql.expired(queueRow, now, limit)
  let rows = expired()
  // Reads the row by its id: in the rows above, SQLite takes the status from the condition of the index.
  const isFound = ({ id, seq }: Rows.Row) => {
    const state = sql.state(String(id))
    return state !== undefined && state.seq === seq && state.status === "in_progress"
  }
  if (!rows.every(isFound) || (rows.length === 0 && leaseEnd(sql, queueRow) <= now)) {
    // An index has another row than its table.
    repair()
    rows = expired()
  }
  const budgets = Budgets.open(sql)
  const swept = rows.map((row): SweptRow => {
    const state = decodeState(row)
    const { id, isStarted, owner, token } = state
    if (!isStarted) {
      const error = notStarted.message.beforeOwner + owner + notStarted.message.afterOwner
      const attempts = Math.max(0, state.attempts - notStarted.attemptsReturned)
      sql.endInterrupted(now, "released", error, null, id, token)
      budgets?.end(state.seq, state.queue, undefined)
      sql.interrupt("pending", notStarted.attemptsReturned, now, null, null, now, id)
      move(tallies, state, "pending")
      return { id, token, status: "pending", owner, attempts, started: false }
    }
    const { attempts } = state
    const failsFrom = failFromAttempts === 0 ? 0 : Number(row.max_attempts ?? failFromAttempts)
    const status = attempts >= failsFrom ? "failed" : "pending"
    const error = message.beforeOwner + owner + message.afterOwner
    sql.endInterrupted(now, "lease_expired", error, null, id, token)
    budgets?.end(state.seq, state.queue, undefined)
    if (status === "failed") sql.interrupt(status, 0, null, error, null, now, id)
    else sql.interrupt(status, 0, now, null, null, now, id)
    move(tallies, state, status)
    return { id, token, status, owner, attempts, started: true }
  })
  count(writing, tallies)
  budgets?.close()
  return swept
}
