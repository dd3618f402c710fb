import type { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import * as Pricing from "../../internal/chat/Pricing.ts"
import type { Reply } from "../../internal/chat/Reply.ts"

const Count = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))

const CompletionUsage = Schema.Struct({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ cached_tokens: Count, cache_write_tokens: Count }))
  ),
  /** What OpenRouter billed, in USD. */
  cost: Schema.optionalKey(Schema.NullOr(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))))
})

/** A whole completion, as `chatStream` assembles it. */
export const Completion = Schema.Struct({
  id: Schema.String,
  model: Schema.String,
  content: Schema.String,
  refusal: Schema.String,
  hasTool: Schema.Boolean,
  finishReason: Schema.NullOr(Schema.String),
  usage: Schema.NullOr(CompletionUsage)
})

export interface Completion extends Schema.Schema.Type<typeof Completion> {}

interface Context {
  /** The model that was requested, whose price applies. */
  readonly model: string
  readonly prices: Pricing.PriceTable
  readonly requestId: string | null
}

/** The reply for a completion, with Claude's names for the reasons for which an answer ends. */
export const toReply = (completion: Completion, context: Context): Reply => {
  const { content, finishReason, id, model, refusal } = completion
  return {
    id,
    model: model === "" ? context.model : model,
    text: content,
    content: content === "" ? [] : [{ type: "text", text: content }],
    stopReason: stopReasonOf(completion),
    refusal: refusal !== "" ? refusal.slice(0, 500) : finishReason === "content_filter" ? "content filter" : null,
    usage: usageOf(completion, context),
    billing: "standard",
    requestId: context.requestId,
    cached: false
  }
}

const stopReasonOf = ({ finishReason, hasTool, refusal }: Completion): string => {
  if (refusal !== "") return "refusal"
  switch (finishReason) {
    case "stop":
      return hasTool ? "tool_use" : "end_turn"
    case "length":
      return "max_tokens"
    case "content_filter":
      return "refusal"
    case "tool_calls":
    case "function_call":
      return "tool_use"
    default:
      return finishReason ?? "unknown"
  }
}

/** Null where the server does not count. The tokens of the prompt include those of its cache. */
const usageOf = ({ usage }: Completion, { model, prices }: Context): Usage | undefined => {
  if (typeof usage?.prompt_tokens !== "number" || typeof usage.completion_tokens !== "number") return undefined
  const { cache_write_tokens, cached_tokens } = usage.prompt_tokens_details ?? {}
  const cacheReadTokens = Math.min(usage.prompt_tokens, cached_tokens ?? 0)
  const cacheWriteTokens = Math.min(usage.prompt_tokens - cacheReadTokens, cache_write_tokens ?? 0)
  const used = Pricing.usageOf(prices, model, {
    inputTokens: usage.prompt_tokens - cacheReadTokens - cacheWriteTokens,
    outputTokens: usage.completion_tokens,
    cacheReadTokens,
    cacheWriteTokens,
    billing: "standard"
  })
  return typeof usage.cost === "number" ? { ...used, costUsd: usage.cost } : used
}
