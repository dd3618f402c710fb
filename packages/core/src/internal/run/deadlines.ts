import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/**
 * One timer for any number of deadlines with the same duration. They are reached in the order in which they were set, so only
 * the first one needs a timer. `Effect.timeout` costs 1.6 µs and a timer per task; this costs a map entry.
 */
export interface Deadlines<K> {
  readonly set: (key: K) => void
  readonly clear: (key: K) => void
  /** Calls `onReached` for each deadline that is reached. */
  readonly loop: Effect.Effect<never>
}

export const make = Effect.fnUntraced(function* <K>(
  duration: Duration.Duration,
  onReached: (key: K) => void
): Effect.fn.Return<Deadlines<K>> {
  const clock = yield* Clock.Clock
  const millis = Duration.toMillis(duration)
  // Monotonic: when the wall clock is set, or the machine slept, the work must not be cut off all at once.
  const now = () => Number(clock.currentTimeNanosUnsafe()) / 1e6
  // A Map iterates in insertion order, which is the order of the deadlines.
  const pending = new Map<K, number>()
  const nonEmpty = Latch.makeUnsafe(false)

  const reachDue = () => {
    const reached = now()
    for (const [key, deadline] of pending) {
      if (deadline > reached) return Math.ceil(deadline - reached)
      pending.delete(key)
      onReached(key)
    }
    nonEmpty.closeUnsafe()
    return undefined
  }

  return {
    set: (key) => {
      if (millis === Infinity) return
      // Deleted first: a key that is set again moves to the end.
      pending.delete(key)
      pending.set(key, now() + millis)
      if (pending.size === 1) nonEmpty.openUnsafe()
    },
    clear: (key) => {
      pending.delete(key)
    },
    loop: Effect.forever(
      Effect.suspend(() => {
        const wait = reachDue()
        return wait === undefined ? nonEmpty.await : Effect.sleep(wait)
      })
    )
  }
})
