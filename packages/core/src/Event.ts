/**
 * What happens in a run, as it happens, for hooks, displays, logs and other programs.
 *
 * An event about the end of an attempt is published after the store has made it durable, and carries the outcome that the
 * ledger records.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { AttemptOutcome } from "./Attempt.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import { PauseCause } from "./QueuePause.ts"
import { Stats } from "./Stats.ts"
import { StopReason } from "./StopReason.ts"
import { TaskId } from "./Task.ts"
import { Usage } from "./Usage.ts"

const at = { at: Schema.DateTimeUtcFromString }
const ofAttempt = { ...at, taskId: TaskId, attempt: Schema.Int }
const durationMillis = Schema.Finite
/** The outcome that the ledger records for the attempt. */
const outcome = <const Outcome extends AttemptOutcome>(outcome: Outcome) => ({ outcome: Schema.Literal(outcome) })

/**
 * Every event that a run publishes.
 *
 * @category models
 * @since 0.1.0
 */
export const Event = Schema.TaggedUnion({
  RunStarted: { ...at, owner: Schema.String },
  /** A worker started an attempt. `resumed`: a saved output is verified, and nothing is executed. */
  TaskStarted: { ...ofAttempt, description: Schema.String, resumed: Schema.Boolean },
  /**
   * How far a running attempt is, as its executor or verifier reports it: a text, a fraction from 0 to 1, and the last 1000
   * characters of its output so far. Each is absent while it was not reported.
   */
  TaskProgress: {
    ...ofAttempt,
    text: optionalNullOr(Schema.String),
    fraction: optionalNullOr(Schema.Finite),
    output: optionalNullOr(Schema.String)
  },
  /** The executor failed with a transient error, and is called again within the same attempt. */
  ExecutionRetried: { ...ofAttempt, reason: Schema.String, delayMillis: durationMillis },
  /** The output is saved, and its verification follows. Not published when the verifier is pure or absent. */
  TaskExecuted: { ...ofAttempt, durationMillis, usage: optionalNullOr(Usage) },
  /** The verifier returned no verdict, and is called again for the same output. */
  VerificationRetried: { ...ofAttempt, reason: Schema.String, delayMillis: durationMillis },
  VerificationFailed: { ...ofAttempt, feedback: Schema.String, issues: Schema.Array(Schema.String) },
  TaskCompleted: {
    ...ofAttempt,
    ...outcome("completed"),
    output: Schema.String,
    verified: Schema.Boolean,
    durationMillis,
    usage: optionalNullOr(Usage)
  },
  /** The output waits for a person, for this reason. */
  TaskInReview: {
    ...ofAttempt,
    ...outcome("in_review"),
    output: Schema.String,
    reason: Schema.String,
    durationMillis,
    usage: optionalNullOr(Usage)
  },
  /** The attempt failed, and another one follows after `delayMillis`. */
  TaskRetried: {
    ...ofAttempt,
    ...outcome("retried"),
    feedback: Schema.String,
    delayMillis: durationMillis,
    durationMillis,
    usage: optionalNullOr(Usage)
  },
  /** The task went to the dead-letter queue. */
  TaskFailed: {
    ...ofAttempt,
    ...outcome("failed"),
    feedback: Schema.String,
    durationMillis,
    usage: optionalNullOr(Usage)
  },
  /** The task was released, and the attempt does not count. */
  TaskReleased: { ...ofAttempt, ...outcome("released"), reason: Schema.String },
  /** The task was cancelled while it ran here. */
  TaskCancelled: { ...ofAttempt, ...outcome("cancelled") },
  /** The lease ended while the task ran here, so its result was discarded. `finished`: the attempt had already ended. */
  LeaseLost: { ...ofAttempt, ...outcome("lease_expired"), finished: Schema.Boolean },
  /** The task of a worker that stopped answering was taken back. `status` is its new status. */
  LeaseReclaimed: { ...ofAttempt, owner: Schema.String, status: Schema.Literals(["pending", "failed"]) },
  CircuitOpened: { ...at, reason: Schema.String },
  CircuitHalfOpened: { ...at, reason: Schema.String },
  CircuitClosed: { ...at, reason: Schema.String },
  /** The store did not answer. The run continues when it does. */
  StoreUnavailable: { ...at, reason: Schema.String },
  /**
   * A queue of the run is paused: until the time, or without one until it is resumed. After a usage limit, one task goes
   * first then, and `QueueResumed` follows once that was not refused.
   */
  QueuePaused: {
    ...at,
    queue: Schema.String,
    cause: PauseCause,
    until: optionalNullOr(Schema.DateTimeUtcFromString),
    reason: Schema.String
  },
  /** A queue of the run is no longer paused. */
  QueueResumed: { ...at, queue: Schema.String },
  /** Another process has set how many tasks this run works on at a time. */
  ConcurrencyChanged: { ...at, concurrency: Schema.Int },
  Paused: at,
  Resumed: at,
  /** The run starts no new tasks and waits for the running ones. */
  Draining: { ...at, reason: Schema.String },
  RunEnded: { ...at, reason: StopReason, stats: Stats }
})

/** @since 0.1.0 */
export type Event = typeof Event.Type
