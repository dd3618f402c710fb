import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** Wakes whoever waits at the moment it rings. */
export interface Bell {
  readonly ring: () => void
  /** The next ring, counted from this call and not from when the effect runs, so that none in between is missed. */
  readonly next: () => Effect.Effect<void>
}

export const make = (): Bell => {
  let waited: Deferred.Deferred<void> | undefined
  return {
    ring: () => {
      if (waited === undefined) return
      const rung = waited
      waited = undefined
      Deferred.doneUnsafe(rung, Effect.void)
    },
    next: () => Deferred.await((waited ??= Deferred.makeUnsafe()))
  }
}
