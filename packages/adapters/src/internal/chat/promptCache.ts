import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Warms the prompt cache: the first of the calls with a common prefix runs alone until its answer begins. From then on the
 * API has the prefix in its prompt cache, and the other calls, which waited, pay a fraction of its price.
 *
 * They wait for that one call only. When it fails, is interrupted, or ends without an answer, all of them run, and the next
 * call after them is a first one again. The same happens when the cache has expired because no call was made meanwhile.
 */
export const makeWarming = (ttl: Duration.Input): Effect.Effect<Warming> =>
  Effect.map(Clock.Clock, (clock) => {
    const ttlMillis = Duration.toMillis(Duration.fromInputUnsafe(ttl))
    let warmUntil = -Infinity
    let first: Deferred.Deferred<void> | undefined

    const begun = () => {
      warmUntil = clock.currentTimeMillisUnsafe() + ttlMillis
    }

    return (call) =>
      Effect.uninterruptibleMask((restore) => {
        if (clock.currentTimeMillisUnsafe() < warmUntil) return restore(call(begun))
        if (first !== undefined) return restore(Effect.andThen(Deferred.await(first), call(begun)))
        const mine = Deferred.makeUnsafe<void>()
        first = mine
        const release = () => {
          if (first === mine) first = undefined
          Deferred.doneUnsafe(mine, Exit.void)
        }
        const start = () => {
          begun()
          release()
        }
        return Effect.onExit(restore(call(start)), () => Effect.sync(release))
      })
  })

/** Runs a call now, or after the first one has begun. The call reports when its answer begins. */
export type Warming = <A, E, R>(call: (onStart: () => void) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A low number of bytes for each token, so that no text that can be cached is left out. Marking a shorter one does no harm. */
const bytesPerToken = 3

/** Whether a text may have the tokens that the prompt cache requires of a model. */
export const isCacheable = (text: string, minimumTokens: number): boolean =>
  Buffer.byteLength(text) >= minimumTokens * bytesPerToken
