import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bell from "../../../internal/bell.ts"

/** A connection that is expected to show signs of life. */
export interface Watched {
  /** When it last did, in epoch milliseconds. */
  heardAt: number
  /** Called once, after it has been silent for too long. */
  readonly onSilence: () => void
}

export interface Watchdog {
  readonly now: () => number
  readonly watch: (watched: Watched) => void
  readonly release: (watched: Watched) => void
}

/**
 * Watches over any number of connections with one fiber and one timer: a sign of life costs no more than taking its time.
 * It ends with the scope.
 */
export const make = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<Watchdog, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const limitMillis = Duration.toMillis(limit)
  const all = new Set<Watched>()
  const bell = Bell.make()
  let isAsleep = false

  yield* Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    let first = Infinity
    for (const watched of all) {
      if (watched.heardAt + limitMillis <= now) {
        all.delete(watched)
        watched.onSilence()
      } else {
        first = Math.min(first, watched.heardAt)
      }
    }
    // Whatever is watched from now on is due later than the first of these.
    if (first !== Infinity) return Effect.sleep(first + limitMillis - now)
    isAsleep = true
    return bell.next()
  }).pipe(Effect.forever, Effect.forkScoped)

  return {
    now: () => clock.currentTimeMillisUnsafe(),
    watch: (watched) => {
      all.add(watched)
      if (!isAsleep) return
      isAsleep = false
      bell.ring()
    },
    release: (watched) => {
      all.delete(watched)
    }
  }
})
