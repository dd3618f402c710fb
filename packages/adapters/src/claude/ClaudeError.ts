/**
 * The errors of this package.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

export { ModelError as ClaudeError, OutputSchemaError } from "../internal/chat/ModelError.ts"

/**
 * The file of a response cache cannot be opened, read or written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseCacheError extends Schema.TaggedError<ResponseCacheError>()("ResponseCacheError", {
  /** One sentence for a person, with the remedy. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}
