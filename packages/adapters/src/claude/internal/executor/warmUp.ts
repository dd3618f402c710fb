import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Lets the first of the calls that share a long beginning go alone until its answer begins. From then on the API has
 * read that beginning once and can take it from its prompt cache, so the others, which waited, pay a fraction of it.
 *
 * They wait for that one call only: when it fails, is interrupted, or ends without ever having begun, all of them go,
 * and the next call after them is a first one again. The same when the prompt cache has forgotten, because nobody called
 * for as long as it keeps things.
 */
export const make = (kept: Duration.Input): Effect.Effect<WarmUp> =>
  Effect.map(Clock.Clock, (clock) => {
    const keptMillis = Duration.toMillis(Duration.fromInputUnsafe(kept))
    let warmUntil = -Infinity
    let first: Deferred.Deferred<void> | undefined

    const begun = () => {
      warmUntil = clock.currentTimeMillisUnsafe() + keptMillis
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

/** Runs a call now or after the first one has begun; the call says when its answer begins. */
export type WarmUp = <A, E, R>(call: (onStart: () => void) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
