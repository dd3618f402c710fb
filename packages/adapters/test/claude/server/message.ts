import type { Answer, Reply } from "./Answer.ts"
import { isObject, type Json } from "./http.ts"
import { sample } from "./sample.ts"
import { type PromptCache, tokensOf } from "./tokens.ts"

/** A message as the API answers it, also in the results of a batch. */
export interface Message {
  readonly id: string
  readonly type: "message"
  readonly role: "assistant"
  readonly model: string
  readonly content: ReadonlyArray<Json>
  readonly container: Json | null
  readonly diagnostics: null
  readonly stop_reason: string
  readonly stop_details: Json | null
  readonly stop_sequence: string | null
  readonly usage: Json
}

let messages = 0

/** The answer without a script: an echo, or an example of the requested schema. */
export const defaultAnswer = (body: Json): Answer => {
  const format = isObject(body.output_config) ? body.output_config.format : undefined
  if (isObject(format)) return { _tag: "Reply", text: JSON.stringify(sample(format.schema)) }
  return { _tag: "Reply", text: `Echo: ${lastText(body)}` }
}

/** The text of the last turn. */
export const lastText = (body: unknown): string => {
  if (!isObject(body) || !Array.isArray(body.messages)) return ""
  const last: unknown = body.messages.at(-1)
  const content: unknown = isObject(last) ? last.content : undefined
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content.map((block) => (isObject(block) && typeof block.text === "string" ? block.text : "")).join("")
}

/**
 * The message that answers a request. Its usage is computed from the lengths of the texts; an answer is cut off at
 * `max_tokens`, as by the API. `begin` notifies the prompt cache that the answer has begun.
 */
export const messageFor = (
  cache: PromptCache,
  body: Json,
  reply: Reply,
  tier: "standard" | "batch" = "standard"
): { readonly message: Message; readonly begin: () => void } => {
  const thinking =
    reply.thinking === undefined ? [] : [{ type: "thinking", thinking: reply.thinking, signature: "sig" }]
  const given: ReadonlyArray<Json> = reply.content ?? [{ type: "text", text: reply.text ?? "", citations: null }]
  const most = Number(body.max_tokens)
  const wanted = tokensOf(textsOf([...thinking, ...given]))
  const isCut = reply.content === undefined && wanted > most && reply.stopReason === undefined
  const content = isCut
    ? [...thinking, { type: "text", text: (reply.text ?? "").slice(0, most * 4), citations: null }]
    : [...thinking, ...given]
  const { begin, usage } = cache.look(body)
  return {
    begin,
    message: {
      id: `msg_${String(++messages).padStart(8, "0")}`,
      type: "message",
      role: "assistant",
      model: String(body.model),
      content,
      container: reply.container === undefined ? null : { id: reply.container, expires_at: "2026-12-01T00:00:00Z" },
      diagnostics: null,
      stop_reason: reply.stopReason ?? (isCut ? "max_tokens" : "end_turn"),
      stop_details: reply.stopDetails ?? null,
      stop_sequence: null,
      usage: {
        ...usage,
        output_tokens: isCut ? most : Math.max(1, wanted),
        output_tokens_details: { thinking_tokens: tokensOf(reply.thinking ?? "") },
        server_tool_use: null,
        service_tier: tier,
        speed: "standard",
        inference_geo: "global",
        ...reply.usage
      }
    }
  }
}

const textsOf = (content: ReadonlyArray<Json>): string =>
  content
    .map((block) =>
      typeof block.text === "string"
        ? block.text
        : typeof block.thinking === "string"
          ? block.thinking
          : JSON.stringify(block)
    )
    .join("")
