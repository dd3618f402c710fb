/**
 * The ledger: one row per attempt, append-only, with the worker, the output, the verdict, the usage and the outcome.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Execution } from "./Execution.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import { TaskId } from "./Task.ts"
import { Usage } from "./Usage.ts"
import { Verification } from "./Verification.ts"

/**
 * Fences a lease: it grows with every claim of a task and is never reused for its id, so that a write under an earlier
 * lease is distinguishable from one under the current lease.
 *
 * @category models
 * @since 0.1.0
 */
export const LeaseToken = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)).pipe(
  Schema.brand("@baton/core/LeaseToken")
)

/** @since 0.1.0 */
export type LeaseToken = typeof LeaseToken.Type

/**
 * The outcome of an attempt, or `claimed` or `running`.
 *
 * - `claimed`: its worker has the task and has not started it yet
 * - `completed`: the output was accepted. A task can be revised later, and have further attempts
 * - `retried`: it failed and another attempt follows
 * - `failed`: it failed and the task went to the dead-letter queue
 * - `released`: given back without counting (shutdown, pause, a fatal error of the run, a worker that died before it started)
 * - `lease_expired`: its worker stopped answering after it had started
 * - `cancelled`: the task was cancelled while it ran
 * - `in_review`: it has an output that waits for a person. The decision replaces this outcome by `completed`, `retried` or
 *   `failed`, and is in `verification`
 *
 * @category models
 * @since 0.1.0
 */
export const AttemptOutcome = Schema.Literals([
  "claimed",
  "running",
  "completed",
  "retried",
  "failed",
  "released",
  "lease_expired",
  "cancelled",
  "in_review"
])

/** @since 0.1.0 */
export type AttemptOutcome = typeof AttemptOutcome.Type

/**
 * One attempt at one task.
 *
 * @category models
 * @since 0.1.0
 */
export const Attempt = Schema.Struct({
  taskId: TaskId,
  /** 1 for the first attempt since the task was added or last requeued. */
  number: Schema.Int,
  token: LeaseToken,
  /** The worker that held the lease. */
  owner: Schema.String,
  /** When work on the task started; for an attempt that never started, when its claim was last known of. */
  startedAt: Schema.DateTimeUtcFromString,
  endedAt: optionalNullOr(Schema.DateTimeUtcFromString),
  execution: optionalNullOr(Execution),
  verification: optionalNullOr(Verification),
  outcome: AttemptOutcome,
  /** Why it did not complete, for a person to read. */
  error: optionalNullOr(Schema.String),
  /** What execution and verification used together; absent when nothing was metered. */
  usage: optionalNullOr(Usage)
})

/** @since 0.1.0 */
export interface Attempt extends Schema.Schema.Type<typeof Attempt> {}
