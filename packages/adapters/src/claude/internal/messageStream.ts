import * as Usage from "@baton/core/Usage"
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as EventStream from "../../internal/chat/eventStream.ts"
import type { ClaudeError } from "../ClaudeError.ts"
import * as ApiErrors from "./apiErrors.ts"

interface Options extends Pick<EventStream.Options, "watchdog" | "idleTimeout" | "requestId" | "onStart" | "onText"> {
  readonly hide: (text: string) => string
}

/** Reads the events of a message from a response body, up to `message_stop`. */
export const read = (
  body: ReadableStream<Uint8Array>,
  { hide, ...options }: Options
): Effect.Effect<unknown, ClaudeError> =>
  EventStream.read(body, makeMessage(), {
    ...options,
    errors: ApiErrors.connection,
    answer: "Claude's answer",
    reported: (error, { hasBegun, nowMillis }) =>
      ApiErrors.fromApi({
        status: undefined,
        body: error,
        headers: undefined,
        nowMillis,
        // An answer that had not begun cost nothing.
        usage: hasBegun ? undefined : Usage.zero,
        hide
      })
  })

type Json = Record<PropertyKey, unknown>

const makeMessage = (): EventStream.PartialAnswer => {
  let message: Json | undefined
  let isComplete = false
  let error: unknown
  const blocks: Array<Json> = []
  /** The input of a tool arrives as pieces of one JSON text. */
  const inputs = new Map<number, string>()

  const handlers: Record<string, (event: Json) => void> = {
    message_start: (event) => {
      message = objectOf(event.message)
      // A placeholder: `message_delta` states the actual number, except on some gateways.
      objectOf(message.usage).output_tokens = null
    },
    content_block_start: (event) => {
      blocks[indexOf(event)] = objectOf(event.content_block)
    },
    content_block_delta: (event) => {
      const index = indexOf(event)
      const block = blocks[index]
      const delta = objectOf(event.delta)
      if (block === undefined) return
      switch (delta.type) {
        case "text_delta":
          return append(block, "text", delta.text)
        case "thinking_delta":
          return append(block, "thinking", delta.thinking)
        case "signature_delta":
          return append(block, "signature", delta.signature)
        case "citations_delta":
          block.citations = [...(Array.isArray(block.citations) ? block.citations : []), delta.citation]
          return
        case "input_json_delta":
          inputs.set(index, `${inputs.get(index) ?? ""}${textOf(delta.partial_json)}`)
      }
    },
    content_block_stop: (event) => {
      const index = indexOf(event)
      const input = inputs.get(index)
      const block = blocks[index]
      if (block !== undefined && input !== undefined && input !== "") block.input = JSON.parse(input)
    },
    // Its numbers count from the start of the message and replace those of `message_start`; null replaces nothing.
    message_delta: (event) => {
      if (message === undefined) return
      merge(message, objectOf(event.delta))
      const usage = objectOf(message.usage)
      merge(usage, objectOf(event.usage))
      message.usage = usage
    },
    message_stop: () => {
      isComplete = message !== undefined
    },
    error: (event) => {
      error = event
    }
  }

  return {
    take: (name, data) => {
      // Most events have a known name, and some proxies omit it.
      if (name !== "message" && !Object.hasOwn(handlers, name)) return
      // Only blocks with a tool's input have something to assemble at their end.
      if (name === "content_block_stop" && inputs.size === 0) return
      const event = objectOf(JSON.parse(data))
      handlers[name === "message" ? textOf(event.type) : name]?.(event)
    },
    hasBegun: () => message !== undefined,
    text: () => blocks.map((block) => (block?.type === "text" ? textOf(block.text) : "")).join(""),
    isComplete: () => isComplete,
    mayEnd: () => false,
    error: () => error,
    value: () => ({ ...message, content: blocks.filter((block) => block !== undefined) })
  }
}

const objectOf = (value: unknown): Json => (Predicate.isObject(value) ? value : {})

const textOf = (value: unknown): string => (Predicate.isString(value) ? value : "")

const indexOf = ({ index }: Json): number => (Predicate.isNumber(index) && index >= 0 && index < 10_000 ? index : 0)

const append = (block: Json, field: string, text: unknown): void => {
  block[field] = textOf(block[field]) + textOf(text)
}

const merge = (into: Json, from: Json): void => {
  for (const [name, value] of Object.entries(from)) {
    if (value !== null && value !== undefined) into[name] = value
  }
}
