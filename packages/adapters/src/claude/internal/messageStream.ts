import * as Usage from "@baton/core/Usage"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as Predicate from "effect/Predicate"
import type { Watchdog, Watched } from "../../internal/chat/watchdog.ts"
import type { ClaudeError } from "../ClaudeError.ts"
import * as ApiErrors from "./apiErrors.ts"

interface Options {
  readonly watchdog: Watchdog
  /** The longest silence, in words. */
  readonly idleTimeout: string
  readonly requestId: string | undefined
  /** Called once the answer has begun, which is when the API has read the prompt. */
  readonly onStart: (() => void) | undefined
  readonly hide: (text: string) => string
}

/**
 * Reads the events of a message from a response body, up to `message_stop`. It reads the bytes itself because the SDK hides
 * the pings, which show that the server is alive, and accepts an answer without its end.
 */
export const read = (
  body: ReadableStream<Uint8Array>,
  { hide, idleTimeout, onStart, requestId, watchdog }: Options
): Effect.Effect<unknown, ClaudeError> =>
  Effect.callback<unknown, ClaudeError>((resume) => {
    const reader = body.getReader()
    const text = new TextDecoder()
    const message = makeMessage()
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event" && !message.isComplete()) message.take(event.event, event.data)
    })
    let hasBegun = false

    const watched: Watched = {
      lastByteAt: watchdog.now(),
      onSilence: () => fail(ApiErrors.silentFor(idleTimeout, requestId))
    }
    const end = (result: Effect.Effect<unknown, ClaudeError>): void => {
      watchdog.release(watched)
      resume(result)
    }
    const fail = (error: ClaudeError) => end(Effect.fail(error))

    const next = (): void =>
      void reader.read().then(take, (cause: unknown) => fail(ApiErrors.connectionLost(cause, requestId)))

    const take = ({ done, value }: { readonly done: boolean; readonly value?: Uint8Array | undefined }): void => {
      if (done) return fail(ApiErrors.truncated(requestId))
      watched.lastByteAt = watchdog.now()
      try {
        const tooLarge = parser.feed(text.decode(value, { stream: true }))
        if (tooLarge !== undefined)
          return fail(ApiErrors.malformed("Claude's answer has an event without an end", requestId))
      } catch {
        return fail(ApiErrors.malformed("Claude's answer has an event that is not JSON", requestId))
      }
      if (!hasBegun && message.hasBegun()) {
        hasBegun = true
        onStart?.()
      }
      const error = message.error()
      if (error !== undefined) {
        return fail(
          ApiErrors.fromApi({
            status: undefined,
            body: error,
            headers: undefined,
            nowMillis: watched.lastByteAt,
            // An answer that had not begun cost nothing.
            usage: hasBegun ? null : Usage.zero,
            hide
          })
        )
      }
      if (!message.isComplete()) return next()
      // The rest is the end of the body: once it is read, the connection is free for the next request.
      reader.read().catch(() => {})
      end(Effect.succeed(message.value()))
    }

    watchdog.watch(watched)
    next()
    return Effect.sync(() => watchdog.release(watched))
  })

/** A message that is assembled from its events: plain JSON, decoded when it is complete. */
interface PartialMessage {
  /** Takes one event. Unknown events and deltas change nothing. */
  readonly take: (name: string, data: string) => void
  /** Whether `message_start` has arrived. */
  readonly hasBegun: () => boolean
  /** Whether `message_stop` has arrived. */
  readonly isComplete: () => boolean
  /** The data of `event: error`, once it has arrived. */
  readonly error: () => unknown
  readonly value: () => unknown
}

type Json = Record<PropertyKey, unknown>

const makeMessage = (): PartialMessage => {
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
    isComplete: () => isComplete,
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
