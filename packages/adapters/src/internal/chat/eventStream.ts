import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { ConnectionErrors } from "./connectionErrors.ts"
import type { ModelError } from "./ModelError.ts"
import type { Watchdog, Watched } from "./watchdog.ts"

/** How an answer is read. */
export interface Options {
  readonly watchdog: Watchdog
  /** The longest silence, in words. */
  readonly idleTimeout: string
  readonly requestId: string | undefined
  /** Called once the answer has begun, which is when the API has read the prompt. */
  readonly onStart: (() => void) | undefined
  /** Called with the text of the answer so far, as it arrives. */
  readonly onText: ((text: string) => void) | undefined
  readonly errors: ConnectionErrors
  /** The answer in sentences about a wrong event. */
  readonly answer: string
  /** The error for the data of an error event. */
  readonly reported: (error: unknown, at: { readonly nowMillis: number; readonly hasBegun: boolean }) => ModelError
}

/** An answer that is assembled from its events: plain JSON, decoded when it is complete. */
export interface PartialAnswer {
  /** Takes one event. Unknown events and deltas change nothing. */
  readonly take: (name: string, data: string) => void
  /** Whether its first event has arrived. */
  readonly hasBegun: () => boolean
  /** The text that has arrived. */
  readonly text: () => string
  /** Whether its last event has arrived. */
  readonly isComplete: () => boolean
  /** Whether it is whole if the body ends here, without its last event. */
  readonly mayEnd: () => boolean
  /** The data of an error, once it has arrived. */
  readonly error: () => unknown
  readonly value: () => unknown
}

/**
 * Reads the events of an answer from a response body, up to its last one. It reads the bytes itself because the SDKs hide
 * the pings, which show that the server is alive, and accept an answer without its end.
 */
export const read = (
  body: ReadableStream<Uint8Array>,
  message: PartialAnswer,
  { answer, errors, idleTimeout, onStart, onText, reported, requestId, watchdog }: Options
): Effect.Effect<unknown, ModelError> =>
  Effect.callback<unknown, ModelError>((resume) => {
    const reader = body.getReader()
    const text = new TextDecoder()
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event" && !message.isComplete()) message.take(event.event, event.data)
    })
    let hasBegun = false

    const watched: Watched = {
      lastByteAt: watchdog.now(),
      onSilence: () => fail(errors.silentFor(idleTimeout, requestId))
    }
    const end = (result: Effect.Effect<unknown, ModelError>): void => {
      watchdog.release(watched)
      resume(result)
    }
    const fail = (error: ModelError) => end(Effect.fail(error))

    const next = (): void =>
      void reader.read().then(take, (cause: unknown) => fail(errors.connectionLost(cause, requestId)))

    const take = ({ done, value }: { readonly done: boolean; readonly value?: Uint8Array | undefined }): void => {
      if (done) return message.mayEnd() ? end(Effect.succeed(message.value())) : fail(errors.truncated(requestId))
      watched.lastByteAt = watchdog.now()
      try {
        const tooLarge = parser.feed(text.decode(value, { stream: true }))
        if (tooLarge !== undefined) return fail(errors.malformed(`${answer} has an event without an end`, requestId))
      } catch {
        return fail(errors.malformed(`${answer} has an event that is not JSON`, requestId))
      }
      if (!hasBegun && message.hasBegun()) {
        hasBegun = true
        onStart?.()
      }
      onText?.(message.text())
      const error = message.error()
      if (error !== undefined) return fail(reported(error, { nowMillis: watched.lastByteAt, hasBegun }))
      if (!message.isComplete()) return next()
      // The rest is the end of the body: once it is read, the connection is free for the next request.
      reader.read().catch(() => {})
      end(Effect.succeed(message.value()))
    }

    watchdog.watch(watched)
    next()
    return Effect.sync(() => watchdog.release(watched))
  })
