import type * as DateTime from "effect/DateTime"
import type { Attempt, LeaseToken } from "../../Attempt.ts"
import type { Execution } from "../../Execution.ts"
import type { Task, TaskId } from "../../Task.ts"
import type { Member } from "./heap.ts"

/** The claim that a task in progress is under. */
export interface Holder {
  readonly owner: string
  readonly token: LeaseToken
  readonly startedAt: DateTime.Utc
  /** What this attempt made durable so far. */
  readonly execution: Execution | null
}

/** What changes of a row. But for `waitsFor`, everything is replaced and never changed: callers hold on to it. */
export interface State {
  task: Task
  /** When it needs attention next, in epoch milliseconds: `availableAt` of a pending task, the lease end of a running one. */
  due: number
  /** Claims so far: the last token given out. */
  claims: number
  /** Set as long as the task is in progress. */
  holder: Holder | null
  /** Dependencies that are not completed. */
  waitsFor: Set<TaskId>
  checkpoint: Execution | null
  previousOutput: string | null
  /** The attempts that ended. Not grown in place: a pushed array reserves room for 17, and most tasks have one. */
  ledger: ReadonlyArray<Attempt>
}

/** A task with what the store keeps beside it. */
export interface Row extends State, Member<Row> {
  /** Its place in the order of adding. */
  readonly seq: number
}

/** The row of a task in progress. */
export interface HeldRow extends Row {
  holder: Holder
}

export const isHeld = (row: Row): row is HeldRow => row.holder !== null

/** The ledger of a task that was never claimed. */
export const noAttempts: ReadonlyArray<Attempt> = []

/** What most tasks wait for. One set for all of them, which nothing is ever put into. */
export const noDependencies: Set<TaskId> = new Set()

/** Who has been due for longest; among those due at the same time, who was added first. */
export const dueFirst = (left: Pick<Row, "due" | "seq">, right: Pick<Row, "due" | "seq">) =>
  left.due === right.due ? left.seq < right.seq : left.due < right.due
