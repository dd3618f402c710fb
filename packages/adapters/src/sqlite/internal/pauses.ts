import type { PauseChange, PauseRow } from "@baton/core/TaskStoreDriver"
import * as QueuePause from "@baton/core/QueuePause"
import type { Writing } from "./connection.ts"
import type * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import type { Preparing } from "./preparing.ts"

/** The statements of pauses. */
export const statements = ({ all, change, first, run }: Preparing) => ({
  pause: first<[queue: string]>(
    "SELECT queue, cause, until, probe_until, reason, revision FROM pauses WHERE queue = ?"
  ),

  pauses: all<[]>("SELECT queue, cause, until, probe_until, reason, revision FROM pauses"),

  savePause: run<
    [queue: string, cause: string, until: number | null, probeUntil: number | null, reason: string, revision: number]
  >(`
      INSERT OR REPLACE INTO pauses (queue, cause, until, probe_until, reason, revision) VALUES (?, ?, ?, ?, ?, ?)`),

  startProbe: run<[probeUntil: number, queue: string]>("UPDATE pauses SET probe_until = ? WHERE queue = ?"),

  /** Null removes the pause of the queue, whichever it is. */
  removePause: change<[queue: string, revision: number | null]>(
    "DELETE FROM pauses WHERE queue = ?1 AND (?2 IS NULL OR revision = ?2)"
  )
})

/** A pause as the statements read it. */
export interface Pause extends QueuePause.PauseTimes, Pick<PauseRow, "queue" | "reason"> {
  readonly revision: number
}

const millis = (value: unknown): number | null => (value === null ? null : Number(value))

const decode = (row: Rows.Row): Pause => ({
  queue: row.queue,
  cause: row.cause === "usage-limit" ? "usage-limit" : "requested",
  until: millis(row.until),
  probeUntil: millis(row.probe_until),
  reason: row.reason,
  revision: Number(row.revision)
})

/** The pause of a queue. In a store without pauses, this costs one read of an empty table. */
export const of = (sql: Statements, queue: string): Pause | undefined => {
  const row = sql.pause(queue)
  return row && decode(row)
}

/** When tasks of a queue may be claimed, in epoch milliseconds. */
export const until = (sql: Statements, queue: string): number => {
  const pause = of(sql, queue)
  return pause === undefined ? -Infinity : QueuePause.endOf(pause)
}

export const list = (sql: Statements): ReadonlyArray<PauseRow> => sql.pauses().map(decode)

export const set = ({ sql }: Writing, change: PauseChange): PauseRow => {
  const { queue } = change
  const { cause, probeUntil, reason, until } = QueuePause.after(of(sql, queue), change)
  sql.revise(null, 0)
  const { revision } = sql.control()
  sql.savePause(queue, cause, until, probeUntil, String(reason), Number(revision))
  return { queue, cause, until, probeUntil, reason, revision }
}

export const remove = ({ sql }: Writing, queue: string, revision: number | null): boolean => {
  const isRemoved = sql.removePause(queue, revision)
  if (isRemoved) sql.revise(null, 0)
  return isRemoved
}
