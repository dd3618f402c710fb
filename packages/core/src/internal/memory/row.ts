import type * as DateTime from "effect/DateTime"
import type { Attempt, LeaseToken } from "../../Attempt.ts"
import type { Execution } from "../../Execution.ts"
import type { Task } from "../../Task.ts"
import type { Member } from "./heap.ts"

/** The claim that a task in progress is under. */
export interface Holder {
  readonly owner: string
  readonly token: LeaseToken
  readonly startedAt: DateTime.Utc
  /** What this attempt made durable so far. */
  execution: Execution | null
}

/** A task with what the store keeps beside it. The task itself is replaced, never changed: callers hold on to it. */
export interface Row extends Member<Row> {
  /** Its place in the order of adding. */
  readonly seq: number
  task: Task
  /** When it needs attention next, in epoch milliseconds: `availableAt` of a pending task, the lease end of a running one. */
  due: number
  /** Claims so far: the last token given out. */
  claims: number
  /** Set as long as the task is in progress. */
  holder: Holder | null
  /** Dependencies that are not completed. */
  blockers: number
  checkpoint: Execution | null
  previousOutput: string | null
  /** The attempts that ended. Replaced, not grown: a pushed array reserves room for 17, and most tasks have one. */
  ledger: ReadonlyArray<Attempt>
}

/** The row of a task in progress. */
export interface HeldRow extends Row {
  holder: Holder
}

export const isHeld = (row: Row): row is HeldRow => row.holder !== null

/** The ledger of a task that was never claimed. */
export const noAttempts: ReadonlyArray<Attempt> = []

/** Who has been due for longest; among those due at the same time, who was added first. */
export const dueFirst = (left: Pick<Row, "due" | "seq">, right: Pick<Row, "due" | "seq">) =>
  left.due === right.due ? left.seq < right.seq : left.due < right.due
