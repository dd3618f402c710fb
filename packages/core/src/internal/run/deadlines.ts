import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/** A deadline that was set: an entry of a doubly linked list, which costs less than one of a Map. */
export interface Deadline<K> {
  readonly key: K
  readonly at: number
  isPending: boolean
  previous: Deadline<K> | undefined
  next: Deadline<K> | undefined
}

/**
 * One timer for any number of deadlines with the same duration. They are reached in the order in which they were set, so only
 * the first one needs a timer. `Effect.timeout` costs 1.6 µs and a timer per task.
 */
export interface Deadlines<K> {
  /** Undefined when the duration is infinite. */
  readonly set: (key: K) => Deadline<K> | undefined
  readonly clear: (deadline: Deadline<K> | undefined) => void
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
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let first: Deadline<K> | undefined
  let last: Deadline<K> | undefined
  const nonEmpty = Latch.makeUnsafe(false)

  const clear = (deadline: Deadline<K> | undefined) => {
    if (deadline === undefined || !deadline.isPending) return
    deadline.isPending = false
    const { next, previous } = deadline
    if (previous === undefined) first = next
    else previous.next = next
    if (next === undefined) last = previous
    else next.previous = previous
  }

  const reachDue = () => {
    const reached = now()
    for (let due = first; due !== undefined; due = first) {
      if (due.at > reached) return Math.ceil(due.at - reached)
      clear(due)
      onReached(due.key)
    }
    nonEmpty.closeUnsafe()
    return undefined
  }

  return {
    set: (key) => {
      if (millis === Infinity) return undefined
      const deadline: Deadline<K> = { key, at: now() + millis, isPending: true, previous: last, next: undefined }
      if (last === undefined) {
        first = deadline
        nonEmpty.openUnsafe()
      } else {
        last.next = deadline
      }
      last = deadline
      return deadline
    },
    clear,
    loop: Effect.forever(
      Effect.suspend(() => {
        const wait = reachDue()
        return wait === undefined ? nonEmpty.await : Effect.sleep(wait)
      })
    )
  }
})
