/**
 * Why a response cache cannot be used.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The file of a response cache cannot be opened, read or written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseCacheError extends Schema.TaggedError<ResponseCacheError>()("ResponseCacheError", {
  /** One sentence for a person, with the way out. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}
