import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

/** A connection on which the server is expected to send something regularly. */
export interface Watched {
  /** In epoch milliseconds. */
  lastByteAt: number
  /** Called once, after the connection was silent for too long. */
  readonly onSilence: () => void
}

export interface Watchdog {
  readonly now: () => number
  readonly watch: (watched: Watched) => void
  readonly release: (watched: Watched) => void
}

/** Watches any number of connections with one fiber and one timer. It ends with the scope. */
export const makeWatchdog = Effect.fnUntraced(function* (
  limit: Duration.Duration
): Effect.fn.Return<Watchdog, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const limitMillis = Duration.toMillis(limit)
  const all = new Set<Watched>()
  const hasSome = Latch.makeUnsafe(false)

  yield* Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    let first = Infinity
    for (const watched of all) {
      if (watched.lastByteAt + limitMillis <= now) {
        all.delete(watched)
        watched.onSilence()
      } else {
        first = Math.min(first, watched.lastByteAt)
      }
    }
    // A connection that is watched from now on is due later than the first of these.
    if (first !== Infinity) return Effect.sleep(first + limitMillis - now)
    hasSome.closeUnsafe()
    return hasSome.await
  }).pipe(Effect.forever, Effect.forkScoped)

  return {
    now: () => clock.currentTimeMillisUnsafe(),
    watch: (watched) => {
      all.add(watched)
      hasSome.openUnsafe()
    },
    release: (watched) => {
      all.delete(watched)
    }
  }
})
