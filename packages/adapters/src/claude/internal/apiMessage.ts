import type { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import * as Pricing from "../../internal/chat/Pricing.ts"
import type { Billing, Reply } from "../../internal/chat/Reply.ts"
import * as ServerTools from "../../internal/chat/serverTools.ts"

const Count = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))

const ApiUsage = Schema.Struct({
  input_tokens: Count,
  output_tokens: Count,
  cache_read_input_tokens: Count,
  cache_creation_input_tokens: Count,
  cache_creation: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ ephemeral_5m_input_tokens: Count, ephemeral_1h_input_tokens: Count }))
  ),
  inference_geo: Schema.optionalKey(Schema.NullOr(Schema.String)),
  server_tool_use: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ web_search_requests: Count, web_fetch_requests: Count }))
  )
})

/**
 * A whole message as the API sends it, reduced to the fields that are used here. Servers that resemble the API leave out
 * most fields, so few are required.
 */
export const ApiMessage = Schema.Struct({
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
  container: Schema.optionalKey(Schema.NullOr(Schema.Struct({ id: Schema.String }))),
  usage: Schema.optionalKey(Schema.NullOr(ApiUsage))
})

export interface ApiMessage extends Schema.Schema.Type<typeof ApiMessage> {}

interface Context {
  /** The model that was requested, whose price applies. */
  readonly model: string
  readonly prices: Pricing.PriceTable
  readonly billing: Billing
  readonly requestId: string | null
}

/** The reply for a message of the API. */
export const toReply = (message: ApiMessage, context: Context): Reply => {
  const { category, explanation } = message.stop_details ?? {}
  return {
    id: message.id,
    model: message.model,
    text: ServerTools.textOf(message.content),
    content: message.content,
    stopReason: message.stop_reason ?? "unknown",
    refusal: [category, explanation].filter((part) => typeof part === "string" && part !== "").join(": ") || null,
    usage: usageOf(message, context),
    billing: context.billing,
    ...(ServerTools.usesTools(message.content) ? { toolUses: toolUsesOf(message) } : undefined),
    ...(typeof message.container?.id === "string" ? { container: message.container.id } : undefined),
    ...(message.usage?.inference_geo === undefined ? undefined : { inferenceGeo: message.usage.inference_geo }),
    requestId: context.requestId,
    cached: false
  }
}

const toolUsesOf = ({ content, usage }: ApiMessage): ServerTools.ToolUses => ({
  webSearches: usage?.server_tool_use?.web_search_requests ?? 0,
  webFetches: usage?.server_tool_use?.web_fetch_requests ?? 0,
  codeRuns: ServerTools.codeRunsIn(content)
})

/** Null where the server does not count: it then leaves out one of the two numbers that every API has. */
const usageOf = (message: ApiMessage, { billing, model, prices }: Context): Usage | undefined => {
  const usage: typeof ApiUsage.Type = message.usage ?? {}
  if (typeof usage.input_tokens !== "number" || typeof usage.output_tokens !== "number") return undefined
  // The split by lifetime is a detail of the sum: where it does not add up, the sum holds.
  const fiveMinutes = usage.cache_creation?.ephemeral_5m_input_tokens ?? 0
  const hour = usage.cache_creation?.ephemeral_1h_input_tokens ?? 0
  const cacheWriteTokens = usage.cache_creation_input_tokens ?? fiveMinutes + hour
  const { codeRuns, webFetches, webSearches } = toolUsesOf(message)
  const used = Pricing.usageOf(prices, model, {
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    cacheReadTokens: usage.cache_read_input_tokens ?? 0,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(cacheWriteTokens, hour),
    inferenceGeo: usage.inference_geo,
    webSearches,
    // Code is free together with the tools for the web.
    codeRuns: webSearches + webFetches > 0 ? 0 : codeRuns,
    billing
  })
  return isUnbilled(message) ? { ...used, costUsd: 0 } : used
}

/** The API does not bill a refusal before any output, although it counts its tokens. */
const isUnbilled = ({ content, stop_reason }: ApiMessage): boolean =>
  stop_reason === "refusal" && content.every(({ text, type }) => type === "text" && text === "")
