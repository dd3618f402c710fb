/**
 * The word of Safety that a run has to stop.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A limit was reached. That of the run: work under way is drained, everything else stays pending. That of a task: the
 * task goes to the dead-letter queue, and the run goes on.
 *
 * @category errors
 * @since 0.1.0
 */
export class SafetyStop extends Schema.TaggedError<SafetyStop>()("SafetyStop", {
  limit: Schema.Literals(["iterations", "consecutive-failures", "cost", "tokens", "deadline"]),
  /** Whose limit it is: that of the run unless it says `task`. */
  scope: Schema.optionalKey(Schema.Literals(["run", "task"])),
  /** One sentence for a person: which limit, and where the run stood. */
  message: Schema.String
}) {}
