import type { AttemptOutcome } from "../../Attempt.ts"
import type { Amount } from "../../Budget.ts"
import type { TaskStatus } from "../../Task.ts"
import type { Member } from "./heap.ts"

/** A task as the driver keeps it: the columns of a `TaskRow` and a `ClaimRow`, so that a row is returned without copying. */
export interface TaskColumns {
  readonly seq: number
  readonly id: string
  readonly queue: string
  readonly description: string
  readonly payload: string | null
  readonly overrides: string | null
  /** The `maxAttempts` of `overrides`. */
  readonly maxAttempts: number | null
  readonly status: TaskStatus
  readonly attempts: number
  readonly metadata: string | null
  readonly priority: number
  readonly availableAt: number
  readonly dependsOn: string | null
  readonly concurrencyKey: string | null
  readonly feedback: string | null
  readonly verified: boolean
  readonly requeues: number
  readonly usage: string | null
  readonly createdAt: number
  readonly updatedAt: number
  /** Always null: it is in the row, where a start changes it without another task. */
  readonly startedAt: null
  readonly execution: string | null
  /** The last token that was given out. */
  readonly token: number
  readonly checkpoint: string | null
  readonly previousExecution: string | null
}

/** The lease that a task in progress is under, and what its attempt has checkpointed. */
export interface Lease {
  readonly owner: string
  readonly token: number
  readonly execution: string | null
  readonly executionUsage: string | null
  /** The amounts that it spent and reserved of the budget of its queue. */
  readonly committed: Amount
  readonly reserved: Amount
}

/** An attempt in the ledger. */
export interface AttemptColumns {
  readonly number: number
  readonly token: number
  readonly owner: string
  readonly startedAt: number
  readonly endedAt: number | null
  readonly outcome: AttemptOutcome
  readonly error: string | null
  readonly execution: string | null
  readonly verification: string | null
  readonly usage: string | null
}

/** What changes of a row. Except for `waitsFor`, values are replaced and not changed: readers keep them. */
export interface State {
  task: TaskColumns
  /** When the row needs attention next, in epoch milliseconds: `availableAt` of a pending task, the lease end of a running one. */
  due: number
  /** Set while the task is in progress. */
  lease: Lease | null
  /** When the attempt under way started; null while it has not. Without a lease, it means nothing. */
  startedAt: number | null
  /** Dependencies that have not completed. */
  waitsFor: Set<string>
  /** The attempts that ended. Not grown in place: a pushed array reserves room for 17, and most tasks have one. */
  ledger: ReadonlyArray<AttemptColumns>
}

/** A task with everything that the driver keeps of it. */
export interface Row extends State, Member<Row> {
  /** Its place in the order of adding. */
  readonly seq: number
}

/** The row of a task in progress. */
export interface LeasedRow extends Row {
  lease: Lease
}

export const isLeased = (row: Row): row is LeasedRow => row.lease !== null

/** The ledger of a task that was never claimed. */
export const noAttempts: ReadonlyArray<AttemptColumns> = []

/** One empty set for all tasks that wait for nothing. */
export const noDependencies: Set<string> = new Set()

/** Due for longest first; among those due at the same time, added first. */
export const dueFirst = (left: Pick<Row, "due" | "seq">, right: Pick<Row, "due" | "seq">) =>
  left.due === right.due ? left.seq < right.seq : left.due < right.due

/** Whether a pending task has had an attempt. The ledger does not say so in a store that keeps no attempts. */
export const hadAttempt = ({ ledger, task }: Row): boolean => ledger.length > 0 || task.attempts > 0

/**
 * The order of claiming within a priority: tasks that have had an attempt come first, so that started work finishes before
 * other work begins; then `dueFirst`.
 */
export const claimedFirst = (left: Row, right: Row): boolean => {
  const hadLeft = hadAttempt(left)
  return hadLeft === hadAttempt(right) ? dueFirst(left, right) : hadLeft
}

/** The whole ledger, the attempt under way included. */
export const attemptsOf = (row: Row): ReadonlyArray<AttemptColumns> => {
  const { lease, ledger, startedAt, task } = row
  if (lease === null) return ledger
  return [
    ...ledger,
    {
      number: task.attempts,
      token: lease.token,
      owner: lease.owner,
      startedAt: startedAt ?? task.updatedAt,
      endedAt: null,
      outcome: startedAt === null ? "claimed" : "running",
      error: null,
      execution: lease.execution,
      verification: null,
      usage: lease.executionUsage
    }
  ]
}
