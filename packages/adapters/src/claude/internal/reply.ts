import * as Schema from "effect/Schema"
import type { Billing, Reply, Tokens } from "../Reply.ts"

const Count = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))

const Usage = Schema.Struct({
  input_tokens: Count,
  output_tokens: Count,
  cache_read_input_tokens: Count,
  cache_creation_input_tokens: Count,
  cache_creation: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ ephemeral_5m_input_tokens: Count, ephemeral_1h_input_tokens: Count }))
  )
})

/**
 * A whole message as the API sends it, as far as we need it. Servers that only resemble the API leave out most of it, so
 * nothing is asked for that can be done without.
 */
export const Message = Schema.Struct({
  id: Schema.String,
  model: Schema.String,
  content: Schema.Array(Schema.JsonObject),
  stop_reason: Schema.NullOr(Schema.String),
  stop_details: Schema.optionalKey(
    Schema.NullOr(
      Schema.Struct({
        category: Schema.optionalKey(Schema.NullOr(Schema.String)),
        explanation: Schema.optionalKey(Schema.NullOr(Schema.String))
      })
    )
  ),
  usage: Schema.optionalKey(Schema.NullOr(Usage))
})

export interface Message extends Schema.Schema.Type<typeof Message> {}

/** A message in the terms of this package. */
export const fromMessage = (
  message: Message,
  { billing, requestId }: { readonly billing: Billing; readonly requestId: string | null }
): Reply => {
  const { category, explanation } = message.stop_details ?? {}
  return {
    id: message.id,
    model: message.model,
    text: message.content.map(({ text, type }) => (type === "text" && typeof text === "string" ? text : "")).join(""),
    content: message.content,
    stopReason: message.stop_reason ?? "unknown",
    refusal: [category, explanation].filter((part) => typeof part === "string" && part !== "").join(": ") || null,
    tokens: tokensOf(message.usage ?? {}),
    ...(isMetered(message.usage ?? {}) ? undefined : { unmetered: true }),
    billing,
    requestId,
    cached: false
  }
}

/** Two numbers are always there where anything is counted; the prompt cache is not everywhere. */
const isMetered = (usage: typeof Usage.Type): boolean =>
  typeof usage.input_tokens === "number" && typeof usage.output_tokens === "number"

/** How many were kept for an hour is a detail of the sum: where it does not add up, the sum holds. */
const tokensOf = (usage: typeof Usage.Type): Tokens => {
  const split = usage.cache_creation
  const fiveMinutes = split?.ephemeral_5m_input_tokens ?? 0
  const hour = split?.ephemeral_1h_input_tokens ?? 0
  const written = usage.cache_creation_input_tokens ?? fiveMinutes + hour
  const cacheWrite1h = Math.min(written, hour)
  return {
    input: usage.input_tokens ?? 0,
    output: usage.output_tokens ?? 0,
    cacheRead: usage.cache_read_input_tokens ?? 0,
    cacheWrite5m: written - cacheWrite1h,
    cacheWrite1h
  }
}
