import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { ClaudeError } from "../../ClaudeError.ts"
import { noTokens } from "../../Reply.ts"
import * as Assembly from "./assembly.ts"
import * as Broken from "./broken.ts"
import { stated } from "./failure.ts"
import type { Watchdog, Watched } from "./watchdog.ts"

interface Options {
  readonly watchdog: Watchdog
  /** How long silence may last, in words. */
  readonly idleTimeout: string
  readonly requestId: string | undefined
  /** Once the answer has begun, which is when the API has read the prompt. */
  readonly onStart: (() => void) | undefined
  readonly hide: (text: string) => string
}

/**
 * Reads the events of an answer from its body, up to `message_stop`. The bytes are read here and not by the SDK, which
 * hides the pings that show that the server is alive, and takes an answer without its end for a whole one.
 */
export const read = (
  body: ReadableStream<Uint8Array>,
  { hide, idleTimeout, onStart, requestId, watchdog }: Options
): Effect.Effect<unknown, ClaudeError> =>
  Effect.callback<unknown, ClaudeError>((resume) => {
    const reader = body.getReader()
    const text = new TextDecoder()
    const assembly = Assembly.make()
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event" && !assembly.complete()) assembly.take(event.event, event.data)
    })
    let hasBegun = false

    const watched: Watched = {
      heardAt: watchdog.now(),
      onSilence: () => fail(Broken.idle(idleTimeout, requestId))
    }
    const end = (result: Effect.Effect<unknown, ClaudeError>): void => {
      watchdog.release(watched)
      resume(result)
    }
    const fail = (error: ClaudeError) => end(Effect.fail(error))

    const next = (): void => void reader.read().then(take, (cause: unknown) => fail(Broken.lost(cause, requestId)))

    const take = ({ done, value }: { readonly done: boolean; readonly value?: Uint8Array | undefined }): void => {
      if (done) return fail(Broken.truncated(requestId))
      watched.heardAt = watchdog.now()
      try {
        const tooLarge = parser.feed(text.decode(value, { stream: true }))
        if (tooLarge !== undefined)
          return fail(Broken.malformed("Claude's answer has an event without an end", requestId))
      } catch {
        return fail(Broken.malformed("Claude's answer has an event that is no JSON", requestId))
      }
      if (!hasBegun && assembly.began()) {
        hasBegun = true
        onStart?.()
      }
      const error = assembly.error()
      if (error !== undefined) {
        return fail(
          stated({
            status: undefined,
            body: error,
            headers: undefined,
            nowMillis: watched.heardAt,
            // An answer that had not begun cost nothing.
            tokens: hasBegun ? null : noTokens,
            hide
          })
        )
      }
      if (!assembly.complete()) return next()
      // What is left is the end of the body: when it is read, the connection is free for the next request.
      reader.read().catch(() => {})
      end(Effect.succeed(assembly.message()))
    }

    watchdog.watch(watched)
    next()
    return Effect.sync(() => watchdog.release(watched))
  })
