import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type { MessageRequest, Turn } from "../../internal/chat/MessageRequest.ts"

/** The name of the limit of an answer's tokens: OpenAI's models accept the first one only, and most other servers know the second. */
export type LimitName = "max_completion_tokens" | "max_tokens"

/** The body of `POST /chat/completions` for a request. */
export const toChatRequest = (request: MessageRequest, limitName: LimitName): Schema.JsonObject => {
  const { max_tokens, messages, model, output_config, system = [] } = request
  const instructions = system.map(({ text }) => text).join("\n\n")
  return {
    model,
    messages: [
      ...(instructions === "" ? [] : [{ role: "system", content: instructions }]),
      ...messages.map((turn) => ({ role: turn.role, content: contentOf(turn) }))
    ],
    [limitName]: max_tokens,
    ...(output_config?.effort === undefined ? undefined : { reasoning_effort: output_config.effort }),
    ...(output_config?.format === undefined
      ? undefined
      : {
          response_format: {
            type: "json_schema",
            json_schema: { name: "answer", schema: output_config.format.schema, strict: true }
          }
        }),
    stream: true,
    stream_options: { include_usage: true }
  }
}

const contentOf = ({ content }: Turn): Schema.Json =>
  typeof content === "string" ? content : content.map((block) => partOf(block))

/** A block of Claude's format as a part of OpenAI's. Blocks of other types are sent unchanged. */
const partOf = (block: Schema.JsonObject): Schema.Json => {
  const { source, type } = block
  if (type === "text") return { type: "text", text: block["text"] ?? "" }
  if (!Predicate.isObject(source)) return block
  const url = urlOf(source)
  if (type === "image") return { type: "image_url", image_url: { url } }
  if (type === "document") return { type: "file", file: { filename: nameOf(block), file_data: url } }
  return block
}

const urlOf = (source: { readonly [key: string]: unknown }): string =>
  source["type"] === "url"
    ? String(source["url"])
    : `data:${String(source["media_type"])};base64,${String(source["data"])}`

const nameOf = ({ title }: Schema.JsonObject): string => (typeof title === "string" ? title : "document.pdf")
