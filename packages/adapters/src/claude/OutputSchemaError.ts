/**
 * A schema that Claude cannot be held to.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The API takes a part of JSON Schema only, and this schema needs more: it is no object, or refers to itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputSchemaError extends Schema.TaggedError<OutputSchemaError>()("OutputSchemaError", {
  /** One sentence for a person: what cannot be expressed, and what to do instead. */
  message: Schema.String
}) {}
