import type { CheckpointRow, LeaseRow, LostLeaseRow } from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import { isLeased } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import type { Statements } from "./statements.ts"
import { count, later, type Metered, meterAll, replaceUsage, type Tallies } from "./transitions.ts"

type Json = string

/** The statements that write under leases, except for those that end them. */
export const statements = ({ change, run }: Preparing) => ({
  noteLease: run<[leaseMillis: number]>("UPDATE control SET longest_lease = ?1 WHERE longest_lease < ?1"),

  start: change<[now: number, id: string, token: number]>(
    `UPDATE tasks SET started_at = COALESCE(started_at, ?) WHERE ${isLeased}`
  ),

  extend: change<[leaseUntil: number, id: string, token: number]>(`UPDATE tasks SET lease_until = ? WHERE ${isLeased}`),

  /** Written as the attempt's execution alone: it becomes the checkpoint when the attempt ends without a settlement. */
  checkpoint: change<
    [
      execution: Json,
      executionUsage: Json | null,
      usage: Json | null,
      now: number,
      id: string,
      token: number,
      usageBefore: Json | null
    ]
  >(`UPDATE tasks SET execution = ?, attempt_usage = ?, usage = ?, updated_at = ? WHERE ${isLeased} AND usage IS ?`)
})

/** Calls `write` for each lease, and returns the leases for which it changed nothing: they are no longer current. */
export const underLeases = <A extends LeaseRow>(
  sql: Statements,
  leases: ReadonlyArray<A>,
  write: (lease: A) => boolean
): ReadonlyArray<LostLeaseRow> => {
  const lost: Array<LostLeaseRow> = []
  leases.forEach((lease, index) => {
    // The answer of a call in this process cannot be lost, so no outcome is looked up.
    if (!write(lease)) lost.push({ index, status: sql.state(lease.id)?.status ?? null, outcome: null })
  })
  return lost
}

export const start = ({ now, sql }: Writing, leases: ReadonlyArray<LeaseRow>) =>
  underLeases(sql, leases, ({ id, token }) => sql.start(now, id, token))

export const extend = ({ now, sql }: Writing, leases: ReadonlyArray<LeaseRow>, leaseMillis: number) => {
  const leaseUntil = later(now, leaseMillis)
  sql.noteLease(leaseMillis)
  return underLeases(sql, leases, ({ id, token }) => sql.extend(leaseUntil, id, token))
}

export const checkpoint = (writing: Writing, checkpoints: ReadonlyArray<CheckpointRow>) => {
  const { now, sql } = writing
  const metered: Array<Metered> = []
  const lost = underLeases(sql, checkpoints, (row) => {
    const { execution, executionUsage, id, token, usage } = row
    return replaceUsage(sql, row, metered, (before) =>
      sql.checkpoint(execution, executionUsage, usage, now, id, token, before)
    )
  })
  const tallies: Tallies = new Map()
  meterAll(sql, tallies, metered)
  count(writing, tallies)
  return lost
}
