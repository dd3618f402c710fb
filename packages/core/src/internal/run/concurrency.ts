import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/** How many tasks a run works on at a time. It can change while the run lasts. */
export interface Concurrency {
  readonly current: () => number
  readonly set: (concurrency: number) => void
  /** Returns once the concurrency is greater than `index`. */
  readonly awaitAbove: (index: number) => Effect.Effect<void>
}

export const make = (initial: number): Concurrency => {
  let current = initial
  let changed = Latch.makeUnsafe(false)
  const awaitAbove = (index: number): Effect.Effect<void> =>
    Effect.suspend(() => (index < current ? Effect.void : Effect.andThen(changed.await, awaitAbove(index))))
  return {
    current: () => current,
    set: (concurrency) => {
      current = concurrency
      const before = changed
      changed = Latch.makeUnsafe(false)
      before.openUnsafe()
    },
    awaitAbove
  }
}
