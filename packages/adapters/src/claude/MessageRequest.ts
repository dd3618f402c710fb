/**
 * One request to Claude's Messages API, in the API's own words: plain JSON, so that it can be sent, counted, hashed for
 * the cache and written into a batch as it is. There are no sampling parameters: the API refuses them since version
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
 * A block of text; `cache_control` marks the end of a prefix that the API keeps for the requests that follow.
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
 * One turn. `content` is text, or blocks; blocks of an assistant turn are sent back to Claude as they came.
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
 * A request. Whether it is streamed is no part of it: the client decides how to fetch the answer.
 *
 * @category models
 * @since 0.1.0
 */
export const MessageRequest = Schema.Struct({
  model: Schema.String,
  max_tokens: Schema.Int,
  system: Schema.optionalKey(Schema.Array(TextBlock)),
  messages: Schema.Array(Turn),
  thinking: Schema.optionalKey(Schema.JsonObject),
  output_config: Schema.optionalKey(
    Schema.Struct({
      effort: Schema.optionalKey(Effort),
      format: Schema.optionalKey(Schema.Struct({ type: Schema.Literal("json_schema"), schema: Schema.JsonObject }))
    })
  ),
  service_tier: Schema.optionalKey(Schema.Literals(["auto", "standard_only"]))
})

/** @since 0.1.0 */
export interface MessageRequest extends Schema.Schema.Type<typeof MessageRequest> {}
