/**
 * The error of a limit that was reached.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A limit was reached. A limit of the run stops it: running tasks are drained, and the others stay pending. A limit of a
 * task sends it to the dead-letter queue, and the run continues.
 *
 * @category errors
 * @since 0.1.0
 */
export class SafetyStop extends Schema.TaggedError<SafetyStop>()("SafetyStop", {
  /** `iterations`, `consecutive-failures`, `no-success`, `cost`, `tokens`, `deadline` or `false-accepts`, or the name that your own limit has. */
  limit: Schema.NonEmptyString,
  /** Default `run`. */
  scope: Schema.optionalKey(Schema.Literals(["run", "task"])),
  /** The queue whose budget is used up; missing for limits of a run or a task. */
  queue: Schema.optionalKey(Schema.String),
  /** One sentence for a person: the limit, and how much of it was used. */
  message: Schema.String
}) {}
