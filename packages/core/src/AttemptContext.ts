/**
 * What executors and verifiers receive about the current attempt, besides the task.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Attempt, LeaseToken } from "./Attempt.ts"
import type { ProgressReport } from "./AttemptProgress.ts"
import type { Hold, Spend, SpendAmount } from "./Safety.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import { defaultQueue, idInQueue, localId, type Task, type TaskId } from "./Task.ts"
import type { Usage } from "./Usage.ts"

/**
 * The current attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttemptContext {
  /** 1 for the first attempt since the task was added or last requeued. */
  readonly attempt: number
  /**
   * The token of the lease under which this attempt runs. It grows with every claim of the task, so a system that you write
   * to can fence off workers that lost their lease: send the token with each write, let the system keep the highest token
   * per task, and let it refuse writes with a lower one.
   */
  readonly leaseToken: LeaseToken
  /**
   * Identical for the same attempt at the same task, in every process and however often it is executed. Pass it to services
   * that deduplicate requests.
   */
  readonly idempotencyKey: string
  /** The output of the previous attempt, and the reason it failed. Absent for the first attempt. */
  readonly previous?:
    | {
        /** Absent when there is none or it was empty. */
        readonly output?: string | undefined
        readonly feedback: string
      }
    | undefined
  /**
   * The outputs of the tasks in `dependsOn`, in that order. Reads the store each time, and nothing for a task without
   * dependencies.
   */
  readonly dependencies: Effect.Effect<ReadonlyArray<Dependency>>
  /** The earlier attempts at the task as the ledger has them, oldest first. Reads the store, and is empty if that fails. */
  readonly earlierAttempts: Effect.Effect<ReadonlyArray<Attempt>>
  /**
   * Attempts at tasks of the same queue that completed, of all workers and runs: what similar calls have used. Reads the
   * store at most five times a second; empty in a queue without a budget.
   */
  readonly completedAttempts?: Effect.Effect<ReadonlyArray<Attempt>> | undefined
  /**
   * Reports how far the attempt is: a text, a fraction from 0 to 1, or `{ output }`, the whole output so far. Each replaces the
   * former one of its kind. At most two reports of a task per second are published as `TaskProgress`, the latest of them
   * always. Of a text, the first 500 characters are published; of an output, the last 1000, without the word that is
   * still being written.
   */
  readonly progress: (report: ProgressReport) => Effect.Effect<void>
  /**
   * Runs a paid call within the budgets of the task and of the run. Reserves `worstCase` before the call starts, and commits
   * the usage that `spent` reads from its exit. If that is undefined, because the call was cut off and its usage is unknown, the
   * whole reservation is committed, so that the budgets hold, and the attempt's cost is recorded as unknown. Report usage
   * that is known in the output or the error as well, because the ledger takes it from there. Do not catch a `SafetyStop`.
   */
  readonly spend: <A, E, R>(options: {
    readonly worstCase: Spend
    /**
     * Receives the amount that was set aside before each start of `call`: less than the worst case if `worstCase.least` allows
     * it and the budget is short. `hold` is the part of the budget of the queue.
     */
    readonly onGranted?: ((granted: SpendAmount, hold: Hold | undefined) => void) | undefined
    readonly call: Effect.Effect<A, E, R>
    readonly spent: (exit: Exit.Exit<A, E>) => Usage | undefined
    /**
     * The service continues the call after an interruption, and the next attempt that makes the call receives its result and
     * pays for it, as in a batch. So nothing is committed when there will be such an attempt. When there will be none, for
     * instance because the task was cancelled, the whole reservation is committed.
     */
    readonly isResumable?: boolean | undefined
    /**
     * An earlier attempt made the call, and the journal of batches has its reservation. So nothing is reserved of the
     * budget of the queue.
     */
    readonly isResumed?: boolean | undefined
  }) => Effect.Effect<A, E | SafetyStop, R>
}

/**
 * A task that another one depends on, and its accepted output, which is absent if the task was deleted since.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dependency {
  readonly id: TaskId
  readonly output?: string | undefined
}

/**
 * The idempotency key of a task's current attempt. A requeued task starts over with new keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idempotencyKey = (task: Pick<Task, "id" | "queue" | "attempts" | "requeues">): string => {
  // The same, whether the id contains the name of the queue or not.
  const id = task.queue === defaultQueue ? task.id : idInQueue(task.queue, localId(task))
  return task.requeues === 0 ? `${id}/${task.attempts}` : `${id}/${task.requeues}.${task.attempts}`
}
