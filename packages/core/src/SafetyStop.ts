/**
 * The word of Safety that a run has to stop.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A limit was reached. Work under way is drained, everything else stays pending.
 *
 * @category errors
 * @since 0.1.0
 */
export class SafetyStop extends Schema.TaggedError<SafetyStop>()("SafetyStop", {
  limit: Schema.Literals(["iterations", "consecutive-failures", "cost", "tokens", "deadline"]),
  /** One sentence for a person: which limit, and where the run stood. */
  message: Schema.String
}) {}
