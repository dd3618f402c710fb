/**
 * One request to Claude's Messages API, with the API's field names: plain JSON, so that it can be sent, counted, hashed for
 * the cache and written into a batch unchanged. There are no sampling parameters: the API rejects them since version
 * 2026-10-21.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const CacheControl = Schema.Struct({
  type: Schema.Literal("ephemeral"),
  ttl: Schema.optionalKey(Schema.Literals(["5m", "1h"]))
})

/**
 * A block of text; `cache_control` marks the end of a prefix that the API caches for later requests.
 *
 * @category models
 * @since 0.1.0
 */
export const TextBlock = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  cache_control: Schema.optionalKey(CacheControl)
})

/** @since 0.1.0 */
export interface TextBlock extends Schema.Schema.Type<typeof TextBlock> {}

/**
 * One turn. `content` is text or blocks; the blocks of an assistant turn are sent back to Claude unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export const Turn = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.Union([Schema.String, Schema.Array(Schema.JsonObject)])
})

/** @since 0.1.0 */
export interface Turn extends Schema.Schema.Type<typeof Turn> {}

/**
 * How hard the model thinks before it answers.
 *
 * @category models
 * @since 0.1.0
 */
export const Effort = Schema.Literals(["low", "medium", "high", "xhigh", "max"])

/** @since 0.1.0 */
export type Effort = typeof Effort.Type

/**
 * The form that the API constrains an answer to.
 *
 * @category models
 * @since 0.1.0
 */
export const OutputFormat = Schema.Struct({ type: Schema.Literal("json_schema"), schema: Schema.JsonObject })

/** @since 0.1.0 */
export interface OutputFormat extends Schema.Schema.Type<typeof OutputFormat> {}

/**
 * A request. It does not say whether the answer is streamed: the client decides that.
 *
 * @category models
 * @since 0.1.0
 */
export const MessageRequest = Schema.Struct({
  model: Schema.String,
  max_tokens: Schema.Int,
  system: Schema.optionalKey(Schema.Array(TextBlock)),
  messages: Schema.Array(Turn),
  /** The tools that the API runs, such as its web search. */
  tools: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  /** The sandbox of an answer whose turn continues. */
  container: Schema.optionalKey(Schema.String),
  thinking: Schema.optionalKey(Schema.JsonObject),
  output_config: Schema.optionalKey(
    Schema.Struct({
      effort: Schema.optionalKey(Effort),
      format: Schema.optionalKey(OutputFormat)
    })
  ),
  service_tier: Schema.optionalKey(Schema.Literals(["auto", "standard_only"]))
})

/** @since 0.1.0 */
export interface MessageRequest extends Schema.Schema.Type<typeof MessageRequest> {}
