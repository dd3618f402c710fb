import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { RateShares } from "./rateShares.ts"

/** Keeps the shares of a process up to date while it sends requests. */
export interface Sharing {
  /** Returns once the shares are known. Every request awaits it. */
  readonly awaitShares: Effect.Effect<void>
}

interface Use {
  readonly wanted: () => Readonly<Record<string, number>>
  /** Whether requests wait or run. */
  readonly isInUse: () => boolean
  readonly onShares: () => void
}

/** How often a process reports; with many processes less often, so that their reports do not add up. */
const interval = Duration.toMillis("1 second")
const processesAtFullRate = 10

/** How long a process keeps its share without a request. */
const keptUnused = Duration.toMillis("5 seconds")

/** A process that sends no requests reports nothing, and leaves its share to others. */
export const make = Effect.fnUntraced(function* (
  shares: RateShares,
  { isInUse, onShares, wanted }: Use
): Effect.fn.Return<Sharing, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const requested = Latch.makeUnsafe(false)
  const known = Latch.makeUnsafe(false)
  let usedAt = -Infinity

  const isUsed = () => isInUse() || clock.currentTimeMillisUnsafe() - usedAt < keptUnused

  const report = Effect.flatMap(
    Effect.suspend(() => shares.report(wanted())),
    (processes) =>
      Effect.suspend(() => {
        onShares()
        known.openUnsafe()
        return Effect.sleep(interval * Math.max(1, processes / processesAtFullRate))
      })
  )

  const leave = Effect.suspend(() => {
    if (!Latch.isOpen(known)) return Effect.void
    requested.closeUnsafe()
    known.closeUnsafe()
    return shares.leave
  })

  yield* Effect.addFinalizer(() => leave)
  yield* requested.await.pipe(
    Effect.andThen(Effect.whileLoop({ while: isUsed, body: () => report, step: () => {} })),
    Effect.andThen(leave),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    awaitShares: Effect.suspend(() => {
      usedAt = clock.currentTimeMillisUnsafe()
      requested.openUnsafe()
      return Latch.isOpen(known) ? Effect.void : known.await
    })
  }
})
