import * as DateTime from "effect/DateTime"
import type { Attempt, AttemptOutcome } from "../../Attempt.ts"
import type { Execution } from "../../Execution.ts"
import type { TaskRecord } from "../../TaskRecord.ts"
import type { Usage } from "../../Usage.ts"
import type { Verification } from "../../Verification.ts"
import { type HeldRow, isHeld, type Row } from "./row.ts"

/** What an attempt brought out. */
interface Outturn {
  readonly execution: Execution | null
  readonly verification: Verification | null
  readonly usage: Usage | null
}

const attempt = (
  row: HeldRow,
  endedAt: DateTime.Utc | null,
  outcome: AttemptOutcome,
  error: string | null,
  { execution, usage, verification }: Outturn
): Attempt => ({
  taskId: row.task.id,
  number: row.task.attempts,
  token: row.holder.token,
  owner: row.holder.owner,
  startedAt: row.holder.startedAt,
  endedAt,
  execution,
  verification,
  outcome,
  error,
  usage
})

/** Of an attempt that nobody settled, what it had made durable is what is known. */
export const saved = (row: HeldRow, usage: Usage | null = null): Outturn => ({
  execution: row.holder.execution,
  verification: null,
  usage: usage ?? row.holder.execution?.usage ?? null
})

/** Writes the row of the attempt that ends here. Call it before the task changes. */
export const end = (
  row: HeldRow,
  endedAt: DateTime.Utc,
  outcome: AttemptOutcome,
  error: string | null,
  outturn: Outturn = saved(row)
) => {
  row.ledger = [...row.ledger, attempt(row, endedAt, outcome, error, outturn)]
}

/** The whole ledger, the attempt under way included. */
export const read = (row: Row): ReadonlyArray<Attempt> =>
  isHeld(row) ? [...row.ledger, attempt(row, null, "running", null, saved(row))] : row.ledger

/** The last day that a date can name. */
const endOfTime = 8.64e15

/** All there is to know of a row. */
export const record = (row: Row): TaskRecord => ({
  task: row.task,
  token: row.claims,
  leaseUntil: isHeld(row) ? DateTime.makeUnsafe(Math.min(row.due, endOfTime)) : null,
  waitsFor: Array.from(row.waitsFor),
  checkpoint: row.checkpoint,
  previousOutput: row.previousOutput,
  attempts: read(row)
})
