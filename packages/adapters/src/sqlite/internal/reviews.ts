import type { TaskStatus } from "@baton/core/Task"
import type { DecisionRow, LostLeaseRow } from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import { ledgerEntry } from "./fragments.ts"
import { underLeases } from "./leases.ts"
import type { Preparing } from "./preparing.ts"
import { unblock } from "./settling.ts"
import { count, move, stateOf, type Tallies } from "./transitions.ts"

type Json = string

/** The fence of a decision about a task in review. */
const isInReview = "id = ? AND token = ? AND status = 'in_review'"

/** The statements of reviews and audits. */
export const statements = ({ change }: Preparing) => ({
  /** Writes the ledger's row of an attempt in review that was not accepted. `decide` follows in the same transaction. */
  endReview: change<
    [
      now: number,
      outcome: string,
      error: string | null,
      execution: Json | null,
      verification: Json,
      id: string,
      token: number
    ]
  >(ledgerEntry("?, ?, attempt_usage", isInReview)),

  /** Changes a task in review. Null keeps `available_at`; without an execution, the attempt is in the ledger. */
  decide: change<
    [
      status: TaskStatus,
      availableAt: number | null,
      verified: number,
      feedback: string | null,
      execution: Json | null,
      verification: Json | null,
      now: number,
      id: string,
      token: number
    ]
  >(`
      UPDATE tasks SET
        status = ?, available_at = COALESCE(?, available_at), verified = ?, feedback = ?, execution = ?5,
        verification = ?6, attempt_usage = IIF(?5 IS NULL, NULL, attempt_usage), updated_at = ?7
      WHERE id = ?8 AND token = ?9 AND status = 'in_review'`),

  /** Replaces the verification of an attempt in the row of its task. */
  amendLast: change<[verification: Json, id: string, token: number, before: Json]>(`
      UPDATE tasks SET verification = ?
      WHERE id = ? AND token = ? AND status = 'completed' AND verification = ?`),

  /** Replaces the verification of an attempt in the ledger. */
  amend: change<[verification: Json, id: string, token: number, before: Json]>(`
      UPDATE attempts SET verification = ?
      WHERE task = (SELECT seq FROM tasks WHERE id = ?) AND token = ? AND verification = ?`)
})

/** Decides about tasks in review. */
export const decide = (writing: Writing, decisions: ReadonlyArray<DecisionRow>): ReadonlyArray<LostLeaseRow> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const lost = underLeases(sql, decisions, (decision) => {
    const { execution, id, status, token, verification } = decision
    const state = stateOf(sql, id)[0]
    if (state?.status !== "in_review" || state.token !== token) return false
    const isCompleted = status === "completed"
    if (!isCompleted) sql.endReview(now, decision.outcome, decision.error, execution, verification, id, token)
    sql.decide(
      status,
      status === "pending" ? now : null,
      decision.verified ? 1 : 0,
      decision.feedback,
      isCompleted ? execution : null,
      isCompleted ? verification : null,
      now,
      id,
      token
    )
    move(tallies, state, status)
    if (isCompleted) unblock(sql, id, tallies)
    return true
  })
  count(writing, tallies)
  return lost
}
