import type { TaskStatus } from "@baton/core/Task"
import type { LostLeaseRow, SettlementRow } from "@baton/core/TaskStoreDriver"
import * as Budgets from "./budgets.ts"
import type { Writing } from "./connection.ts"
import { isLeased, ledgerEntry } from "./fragments.ts"
import { underLeases } from "./leases.ts"
import type { Preparing } from "./preparing.ts"
import type { Statements } from "./statements.ts"
import {
  count,
  jsonOrNull,
  later,
  type Metered,
  meterAll,
  replaceUsage,
  statusOf,
  type Tallies,
  tallyOf
} from "./transitions.ts"

type Json = string

/** The statements that end attempts, and free the tasks that wait for one. */
export const statements = ({ all, change, first, run }: Preparing) => ({
  /** Ends the attempt in the task's row, where the attempt of a task that is completed or in review stays. */
  settle: change<
    [
      status: TaskStatus,
      attemptsReturned: number,
      verified: number,
      feedback: string | null,
      usage: Json | null,
      checkpoint: Json | null,
      execution: Json | null,
      verification: Json | null,
      attemptUsage: Json | null,
      now: number,
      id: string,
      token: number,
      usageBefore: Json | null
    ]
  >(`
      UPDATE OR FAIL tasks SET
        status = ?, attempts = MAX(0, attempts - ?), verified = ?, feedback = ?, usage = ?, checkpoint = ?,
        execution = ?, verification = ?, attempt_usage = ?, updated_at = ?
      WHERE ${isLeased} AND usage IS ?`),

  /** Follows `settle` where a task is to be claimed again. */
  makeAvailable: run<[availableAt: number, id: string]>("UPDATE tasks SET available_at = ? WHERE id = ?"),

  /** Writes the ledger's row of a settled attempt. `settle` follows in the same transaction. */
  endAttempt: change<
    [
      now: number,
      outcome: string,
      error: string | null,
      execution: Json | null,
      verification: Json | null,
      attemptUsage: Json | null,
      id: string,
      token: number
    ]
  >(ledgerEntry("?, ?, ?")),

  /** Writes the ledger's row of an attempt that ends without a result. `interrupt` follows in the same transaction. */
  endInterrupted: change<
    [now: number, outcome: string, error: string | null, attemptUsage: Json | null, id: string, token: number]
  >(ledgerEntry("execution, NULL, COALESCE(?, attempt_usage)")),

  /** Keeps what the attempt has checkpointed, and every column whose parameter is null. */
  interrupt: run<
    [
      status: TaskStatus,
      attemptsReturned: number,
      availableAt: number | null,
      feedback: string | null,
      usage: Json | null,
      now: number,
      id: string
    ]
  >(`
      UPDATE tasks SET
        status = ?, attempts = MAX(0, attempts - ?), available_at = COALESCE(?, available_at),
        feedback = COALESCE(?, feedback), usage = COALESCE(?, usage), checkpoint = COALESCE(execution, checkpoint),
        execution = NULL, attempt_usage = NULL, updated_at = ?
      WHERE id = ?`),

  /** How many of these tasks each queue has of each status: one statement for a batch costs less than one for each task. */
  statuses: all<[ids: Json]>(`
      SELECT queue, status, COUNT(*) AS count FROM json_each(?) CROSS JOIN tasks ON tasks.id = value
      GROUP BY queue, status`),

  hasDependencies: first<[]>("SELECT 1 FROM dependencies LIMIT 1"),

  /** Returns the dependants; those without another blocker are in the claim index from here on. */
  unblock: all<[id: string]>(`
      UPDATE tasks SET blockers = blockers - 1
      WHERE seq IN (SELECT task FROM dependencies WHERE dependency = ?) RETURNING queue, blockers, status`),

  forgetDependency: run<[id: string]>("DELETE FROM dependencies WHERE dependency = ?")
})

export const settle = (writing: Writing, settlements: ReadonlyArray<SettlementRow>): ReadonlyArray<LostLeaseRow> => {
  const { sql } = writing
  const budgets = Budgets.open(sql)
  const settled: Array<SettlementRow> = []
  const metered: Array<Metered> = []
  const completed: Array<string> = []
  const lost = underLeases(sql, settlements, (settlement) => {
    if (!settleOne(writing, settlement, metered)) return false
    const row = budgets && sql.state(settlement.id)
    if (row !== undefined) budgets?.end(Number(row.seq), Number(row.queue), settlement.spent)
    settled.push(settlement)
    if (settlement.status === "completed") completed.push(settlement.id)
    return true
  })
  const tallies = tallySettled(sql, settled)
  meterAll(sql, tallies, metered)
  // Checked once per batch, because most lists have no dependencies.
  if (completed.length > 0 && sql.hasDependencies() !== undefined) {
    for (const id of completed) unblock(sql, id, tallies)
  }
  count(writing, tallies)
  budgets?.close()
  return lost
}

/** Counts settled tasks by queue. In a store with one queue, which is the most frequent kind, this reads no task. */
const tallySettled = (sql: Statements, settled: ReadonlyArray<SettlementRow>): Tallies => {
  const tallies: Tallies = new Map()
  const note = (queue: unknown, status: TaskStatus, by: number) => {
    const moved = tallyOf(tallies, Number(queue))
    moved.in_progress -= by
    moved[status] += by
  }
  const [only, another] = sql.twoQueues()
  if (another === undefined) {
    for (const { status } of settled) note(only?.queue, status, 1)
  } else {
    const ids = JSON.stringify(settled.map(({ id }) => id))
    for (const { count, queue, status } of sql.statuses(ids)) note(queue, statusOf(status), Number(count))
  }
  return tallies
}

/** Returns whether the lease was current. */
const settleOne = ({ now, sql }: Writing, settlement: SettlementRow, metered: Array<Metered>): boolean => {
  const { attemptsReturned, attemptUsage, availableInMillis, error, execution, id, outcome } = settlement
  const { status, token, usage, verification } = settlement
  const availableAt = availableInMillis === null ? null : later(now, availableInMillis)
  if (outcome === "released") {
    const before = usage === null ? null : jsonOrNull(sql.usageOfLeased(id, token)?.usage)
    if (!sql.endInterrupted(now, outcome, error, attemptUsage, id, token)) return false
    sql.interrupt(status, attemptsReturned, availableAt, null, usage, now, id)
    if (usage !== null) metered.push({ id, before, after: usage })
    return true
  }
  const staysInRow = outcome === "completed" || outcome === "in_review"
  if (!staysInRow && !sql.endAttempt(now, outcome, error, execution, verification, attemptUsage, id, token))
    return false
  const isSettled = replaceUsage(sql, settlement, metered, (before) =>
    sql.settle(
      status,
      attemptsReturned,
      settlement.verified ? 1 : 0,
      settlement.feedback,
      usage,
      settlement.checkpoint,
      staysInRow ? execution : null,
      staysInRow ? verification : null,
      staysInRow ? attemptUsage : null,
      now,
      id,
      token,
      before
    )
  )
  if (isSettled && availableAt !== null) sql.makeAvailable(availableAt, id)
  return isSettled
}

/** Frees the dependants of a task. Pending ones that have no other blocker no longer wait. */
export const unblock = (sql: Statements, id: string, tallies: Tallies) => {
  const dependants = sql.unblock(id)
  if (dependants.length > 0) sql.forgetDependency(id)
  for (const { blockers, queue, status } of dependants) {
    if (blockers === 0 && status === "pending") tallyOf(tallies, Number(queue)).waiting--
  }
}
