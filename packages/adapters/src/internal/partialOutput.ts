import type { AttemptContext } from "@baton/core/AttemptContext"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** How often the output of a running program or model is looked at. */
export const lookInterval = Duration.millis(500)

/** Reports the output that an attempt has so far, when it has changed, until the effect ends. */
export const whileReporting =
  ({ progress }: AttemptContext, soFar: () => string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    let seen = ""
    const report = Effect.suspend(() => {
      const output = soFar()
      if (output === seen) return Effect.void
      seen = output
      return progress({ output })
    })
    return Effect.acquireUseRelease(
      Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep(lookInterval), report))),
      () => effect,
      Fiber.interrupt
    )
  }
