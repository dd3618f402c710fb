/**
 * Why an execution brought no output.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Metadata } from "./Task.ts"
import { Usage } from "./Usage.ts"

/**
 * An execution failed. What happens next depends on `reason`:
 *
 * - `Transient` (rate limit, overload, network): tried again inside the attempt, after `retryAfter` if given; spends an
 *   attempt only when the tries are used up
 * - `Failed`: spends an attempt
 * - `TimedOut`: spends an attempt
 * - `Permanent` (a refusal, a bad request): straight to the dead-letter queue, trying again would not help
 * - `Fatal` (a bad key, a spend limit, a missing program): the run stops and the task is released
 *
 * @category errors
 * @since 0.1.0
 */
export class ExecutionError extends Schema.TaggedError<ExecutionError>()("ExecutionError", {
  reason: Schema.Literals(["Transient", "Failed", "TimedOut", "Permanent", "Fatal"]),
  /** For a person, and for the next attempt: what went wrong. */
  message: Schema.String,
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** What came out before it failed; kept in the ledger. */
  output: Schema.optionalKey(Schema.String),
  /** What the failed call used all the same. */
  usage: Schema.optionalKey(Usage),
  /** Kept in the ledger: an exit code, a request id. */
  metadata: Schema.optionalKey(Metadata),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
