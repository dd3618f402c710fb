/**
 * What happens in a run, as it happens: for hooks, screens, logs and machines.
 *
 * An event about a task's end is published only after the store has made that end durable.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { AttemptOutcome } from "./Attempt.ts"
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
  /** A claimed task was handed to a worker. `resumed`: its saved output is verified, nothing is executed. */
  TaskStarted: { ...ofAttempt, description: Schema.String, resumed: Schema.Boolean },
  /** The executor failed in passing and is tried again within the same attempt. */
  ExecutionRetried: { ...ofAttempt, reason: Schema.String, delayMillis: durationMillis },
  /** There is an output; verification follows. Not published when the verifier is pure or absent. */
  TaskExecuted: { ...ofAttempt, durationMillis, usage: Schema.NullOr(Usage) },
  /** The verifier came to no verdict and is tried again on the same output. */
  VerificationRetried: { ...ofAttempt, reason: Schema.String, delayMillis: durationMillis },
  VerificationFailed: { ...ofAttempt, feedback: Schema.String, issues: Schema.Array(Schema.String) },
  TaskCompleted: {
    ...ofAttempt,
    ...outcome("completed"),
    output: Schema.String,
    verified: Schema.Boolean,
    durationMillis,
    usage: Schema.NullOr(Usage)
  },
  /** The attempt failed and another follows after `delayMillis`. */
  TaskRetried: {
    ...ofAttempt,
    ...outcome("retried"),
    feedback: Schema.String,
    delayMillis: durationMillis,
    durationMillis,
    usage: Schema.NullOr(Usage)
  },
  /** The task went to the dead-letter queue. */
  TaskFailed: {
    ...ofAttempt,
    ...outcome("failed"),
    feedback: Schema.String,
    durationMillis,
    usage: Schema.NullOr(Usage)
  },
  /** The attempt was given back and does not count. */
  TaskReleased: { ...ofAttempt, ...outcome("released"), reason: Schema.String },
  /** Someone cancelled the task while it ran here. */
  TaskCancelled: { ...ofAttempt, ...outcome("cancelled") },
  /** The lease was taken back while the task ran here; whatever it brought out was not accepted. */
  LeaseLost: { ...ofAttempt, ...outcome("lease_expired"), finished: Schema.Boolean },
  /** The lease of a worker that stopped answering was taken back. `status`: where its task went. */
  LeaseReclaimed: { ...ofAttempt, owner: Schema.String, status: Schema.Literals(["pending", "failed"]) },
  CircuitOpened: { ...at, reason: Schema.String },
  CircuitHalfOpened: { ...at, reason: Schema.String },
  CircuitClosed: { ...at, reason: Schema.String },
  /** The store did not answer; the run goes on as soon as it does. */
  StoreUnavailable: { ...at, reason: Schema.String },
  Paused: at,
  Resumed: at,
  /** The run takes no new work and waits for what is under way. */
  Draining: { ...at, reason: Schema.String },
  RunEnded: { ...at, reason: StopReason, stats: Stats }
})

/** @since 0.1.0 */
export type Event = typeof Event.Type
