import * as Predicate from "effect/Predicate"

/** A message while its events come in: plain JSON, checked as a whole when it is complete. */
export interface Assembly {
  /** Takes one event. Events and deltas that are newer than this code change nothing. */
  readonly take: (name: string, data: string) => void
  /** Whether `message_start` has come. */
  readonly began: () => boolean
  /** Whether `message_stop` has come. */
  readonly complete: () => boolean
  /** What `event: error` said, once it has come. */
  readonly error: () => unknown
  readonly message: () => unknown
}

type Json = Record<PropertyKey, unknown>

export const make = (): Assembly => {
  let message: Json | undefined
  let isComplete = false
  let error: unknown
  const blocks: Array<Json> = []
  /** The input of tools comes as pieces of one JSON text. */
  const inputs = new Map<number, string>()

  const handlers: Record<string, (event: Json) => void> = {
    message_start: (event) => {
      message = objectOf(event.message)
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
    // What it says counts from the start of the message, and replaces what was said there; null says nothing.
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
      // Most events are of a known name, and some proxies leave the name out.
      if (name !== "message" && !Object.hasOwn(handlers, name)) return
      // Most blocks have nothing to be put together at their end.
      if (name === "content_block_stop" && inputs.size === 0) return
      const event = objectOf(JSON.parse(data))
      handlers[name === "message" ? textOf(event.type) : name]?.(event)
    },
    began: () => message !== undefined,
    complete: () => isComplete,
    error: () => error,
    message: () => ({ ...message, content: blocks.filter((block) => block !== undefined) })
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
