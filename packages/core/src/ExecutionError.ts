/**
 * Why an execution returned no output.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Metadata } from "./Task.ts"
import { Usage } from "./Usage.ts"

/**
 * An execution failed. The consequence depends on `reason`:
 *
 * - `Transient` (rate limit, overload, network): retried within the attempt, after `retryAfter` if given. Uses up the attempt
 *   only when these retries are used up
 * - `Failed`: uses up the attempt
 * - `TimedOut`: uses up the attempt
 * - `Permanent` (a refusal, a bad request): the task goes to the dead-letter queue at once, because a retry would not help
 * - `Fatal` (a bad key, a spend limit, a missing program): the run stops and the task is released
 * - `RateLimited` (a usage limit that ends by itself, in minutes or days): the task is released, the attempt does not count, and
 *   the queue is paused until `retryAt` for all workers. One task goes first after that
 *
 * @category errors
 * @since 0.1.0
 */
export class ExecutionError extends Schema.TaggedError<ExecutionError>()("ExecutionError", {
  reason: Schema.Literals(["Transient", "Failed", "TimedOut", "Permanent", "Fatal", "RateLimited"]),
  /** What went wrong, for a person and for the next attempt. */
  message: Schema.String,
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** For `RateLimited`: when the limit ends. Default: after `retryAfter`, or in 5 minutes without it. */
  retryAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** The output before the failure. The ledger keeps it. */
  output: Schema.optionalKey(Schema.String),
  /** What the failed call used. */
  usage: Schema.optionalKey(Usage),
  /** An exit code, a request id. The ledger keeps it. */
  metadata: Schema.optionalKey(Metadata),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
