/**
 * What an executor and a verifier get to know of the attempt they work in, besides the task.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { LeaseToken } from "./Attempt.ts"
import type { Spend } from "./Safety.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import type { Task } from "./Task.ts"
import type { Usage } from "./Usage.ts"

/**
 * The attempt under way.
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
   * The same for the same attempt of the same task, wherever and however often it runs: pass it to a service that
   * deduplicates requests.
   */
  readonly idempotencyKey: string
  /** What the last failed attempt brought out, and why it was not accepted. */
  readonly previous: { readonly output: string | null; readonly feedback: string } | null
  /**
   * Runs a paid call under the budgets of the task and of the run: reserves `worstCase` before the call starts, and commits
   * what `spent` reads from its exit. Where that is null, because the call was cut off and nobody can say, the whole
   * reservation is committed, so that the budgets hold in any case, and the attempt's usage says that its cost is unknown.
   * Usage that is not null has to be in the output or the error as well: that is where the ledger takes it from. Pass a
   * `SafetyStop` on as it is.
   */
  readonly spend: <A, E, R>(options: {
    readonly worstCase: Spend
    readonly call: Effect.Effect<A, E, R>
    readonly spent: (exit: Exit.Exit<A, E>) => Usage | null
    /**
     * The call goes on when it is interrupted, and the next attempt that makes it gets its result and pays for it, as in a
     * batch. So nothing is committed for it where there will be such an attempt; where there will not, because the task
     * was cancelled for instance, the whole reservation is.
     */
    readonly isResumable?: boolean | undefined
  }) => Effect.Effect<A, E | SafetyStop, R>
}

/**
 * The idempotency key of a task's current attempt. A requeued task starts over with new keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idempotencyKey = (task: Pick<Task, "id" | "attempts" | "requeues">): string =>
  task.requeues === 0 ? `${task.id}/${task.attempts}` : `${task.id}/${task.requeues}.${task.attempts}`
