import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { ClaudeError } from "../../ClaudeError.ts"
import { noTokens } from "../../Reply.ts"
import * as Assembly from "./assembly.ts"
import * as Broken from "./broken.ts"
import { stated } from "./failure.ts"

interface Options {
  readonly clock: Clock.Clock
  readonly idleTimeout: Duration.Duration
  readonly requestId: string | undefined
  /** Once the answer has begun, which is when the API has read the prompt. */
  readonly onStart: () => void
  readonly hide: (text: string) => string
}

/**
 * Reads the events of an answer from its body, up to `message_stop`. The bytes are read here and not by the SDK, which
 * hides the pings that show that the server is alive, and takes an answer without its end for a whole one.
 */
export const read = (body: ReadableStream<Uint8Array>, options: Options): Effect.Effect<unknown, ClaudeError> => {
  const now = () => options.clock.currentTimeMillisUnsafe()
  let heardAt = now()

  const events = Effect.callback<unknown, ClaudeError>((resume) => {
    const reader = body.getReader()
    const text = new TextDecoder()
    const assembly = Assembly.make()
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event" && !assembly.complete()) assembly.take(event.event, event.data)
    })
    let hasBegun = false

    const fail = (error: ClaudeError) => resume(Effect.fail(error))

    const next = (): void =>
      void reader.read().then(take, (cause: unknown) => fail(Broken.lost(cause, options.requestId)))

    const take = ({ done, value }: { readonly done: boolean; readonly value?: Uint8Array | undefined }): void => {
      if (done) return fail(Broken.truncated(options.requestId))
      heardAt = now()
      try {
        const tooLarge = parser.feed(text.decode(value, { stream: true }))
        if (tooLarge !== undefined)
          return fail(Broken.malformed("Claude's answer has an event without an end", options.requestId))
      } catch {
        return fail(Broken.malformed("Claude's answer has an event that is no JSON", options.requestId))
      }
      if (!hasBegun && assembly.began()) {
        hasBegun = true
        options.onStart()
      }
      const error = assembly.error()
      if (error !== undefined) {
        return fail(
          stated({
            status: undefined,
            body: error,
            headers: undefined,
            nowMillis: heardAt,
            // An answer that had not begun cost nothing.
            tokens: hasBegun ? null : noTokens,
            hide: options.hide
          })
        )
      }
      if (!assembly.complete()) return next()
      // What is left is the end of the body: when it is read, the connection is free for the next request.
      reader.read().catch(() => {})
      resume(Effect.succeed(assembly.message()))
    }

    next()
  })

  const silence = Effect.suspend(function wait(): Effect.Effect<never, ClaudeError> {
    const left = heardAt + Duration.toMillis(options.idleTimeout) - now()
    return left > 0
      ? Effect.flatMap(Effect.sleep(left), wait)
      : Effect.fail(Broken.idle(Duration.format(options.idleTimeout), options.requestId))
  })

  return Effect.raceFirst(events, silence)
}
