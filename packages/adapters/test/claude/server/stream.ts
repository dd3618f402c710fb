import type { Reply } from "./Answer.ts"
import type { Json } from "./http.ts"
import type { Message } from "./message.ts"

/** One server-sent event. */
export const event = (name: string, data: Json): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

export const ping = event("ping", { type: "ping" })

/** The first event: the usage so far, without content. */
export const start = (message: Message, reply: Reply): string =>
  event("message_start", {
    type: "message_start",
    message: {
      ...message,
      content: [],
      stop_reason: null,
      stop_details: null,
      usage: { ...message.usage, output_tokens: 1, ...reply.startUsage }
    }
  })

/** A text in this number of pieces, cut between characters. */
const cut = (text: string, pieces: number): ReadonlyArray<string> => {
  const characters = [...text]
  const size = Math.max(1, Math.ceil(characters.length / pieces))
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join("")
  )
}

const deltas = (block: Json, pieces: number): { readonly empty: Json; readonly deltas: ReadonlyArray<Json> } => {
  if (block.type === "text" && typeof block.text === "string") {
    return {
      empty: { ...block, text: "" },
      deltas: cut(block.text, pieces).map((text) => ({ type: "text_delta", text }))
    }
  }
  if (block.type === "thinking" && typeof block.thinking === "string") {
    return {
      empty: { ...block, thinking: "", signature: "" },
      deltas: [
        ...cut(block.thinking, pieces).map((thinking) => ({ type: "thinking_delta", thinking })),
        { type: "signature_delta", signature: block.signature }
      ]
    }
  }
  if (block.type === "tool_use" || block.type === "server_tool_use") {
    return {
      empty: { ...block, input: {} },
      deltas: cut(JSON.stringify(block.input), pieces).map((partial_json) => ({
        type: "input_json_delta",
        partial_json
      }))
    }
  }
  return { empty: block, deltas: [] }
}

/** The blocks of a message as events. */
export const blocks = (message: Pick<Message, "content">, reply: Reply): string => {
  const pings = ping.repeat(reply.pings ?? 1)
  const unknown = reply.unknownEvents === true ? event("message_sparkle", { type: "message_sparkle", sparkle: 1 }) : ""
  return message.content
    .map((block, index) => {
      const parts = deltas(block, reply.deltas ?? 3)
      return [
        event("content_block_start", { type: "content_block_start", index, content_block: parts.empty }),
        index === 0 ? pings + unknown : "",
        ...parts.deltas.map((delta) => event("content_block_delta", { type: "content_block_delta", index, delta })),
        event("content_block_stop", { type: "content_block_stop", index })
      ].join("")
    })
    .join("")
}

/** The last events of a message. */
export const end = (message: Message): string =>
  event("message_delta", {
    type: "message_delta",
    delta: {
      stop_reason: message.stop_reason,
      stop_details: message.stop_details,
      stop_sequence: message.stop_sequence,
      container: message.container
    },
    usage: {
      input_tokens: message.usage.input_tokens,
      cache_creation_input_tokens: message.usage.cache_creation_input_tokens,
      cache_read_input_tokens: message.usage.cache_read_input_tokens,
      output_tokens: message.usage.output_tokens,
      output_tokens_details: message.usage.output_tokens_details,
      server_tool_use: message.usage.server_tool_use
    }
  }) + event("message_stop", { type: "message_stop" })
