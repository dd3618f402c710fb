/**
 * Why a verifier returned no verdict. This is not a rejection.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.ts"

/**
 * The verification failed. The output is kept and only the verification is retried; nothing is executed or paid for a second
 * time.
 *
 * - `Transient`, `TimedOut`: retried within this attempt and the next ones
 * - `Failed` (the verifier ran and returned no verdict): retried once within this attempt, and in the next ones
 * - `Permanent` (this output can never be judged): the task goes to the dead-letter queue, with its output
 * - `Fatal` (a bad key, a missing program): the run stops and the task is released
 * - `RateLimited` (a usage limit that ends by itself): the task is released with its output, the attempt does not count, and
 *   the queue is paused until `retryAt`
 *
 * @category errors
 * @since 0.1.0
 */
export class VerificationError extends Schema.TaggedError<VerificationError>()("VerificationError", {
  reason: Schema.Literals(["Transient", "Failed", "TimedOut", "Permanent", "Fatal", "RateLimited"]),
  /** What went wrong, for a person. */
  message: Schema.String,
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** For `RateLimited`: when the limit ends. Default: after `retryAfter`, or in 5 minutes without it. */
  retryAt: Schema.optionalKey(Schema.DateTimeUtc),
  usage: Schema.optionalKey(Usage),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
