/**
 * Why a verifier came to no verdict. This is not a rejection.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.ts"

/**
 * Verification could not be carried out. The output is kept and verification alone is tried again; nothing is executed,
 * or paid for, a second time.
 *
 * - `Transient`, `TimedOut`: tried again, with this attempt and the next ones
 * - `Failed` (it worked and came to no verdict): once more with this attempt, and with the next ones
 * - `Permanent` (this output will never be judged): the task goes to the dead-letter queue, with its output
 * - `Fatal` (a bad key, a missing program): the run stops and the task is released
 *
 * @category errors
 * @since 0.1.0
 */
export class VerificationError extends Schema.TaggedError<VerificationError>()("VerificationError", {
  reason: Schema.Literals(["Transient", "Failed", "TimedOut", "Permanent", "Fatal"]),
  /** For a person: what went wrong. */
  message: Schema.String,
  retryAfter: Schema.optionalKey(Schema.Duration),
  usage: Schema.optionalKey(Usage),
  cause: Schema.optionalKey(Schema.Defect())
}) {}
