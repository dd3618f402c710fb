import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Limits } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"

export const make = Effect.fnUntraced(function* (duration: Duration.Duration) {
  const clock = yield* Clock.Clock
  const end = clock.currentTimeMillisUnsafe() + Duration.toMillis(duration)
  const stop = new SafetyStop({
    limit: "deadline",
    message: `The run reached its limit of ${Duration.format(duration)}.`
  })
  const reached = () => clock.currentTimeMillisUnsafe() >= end

  const reason = Effect.sync(() => (reached() ? Option.some(stop) : Option.none()))

  return {
    allow: Effect.suspend(() => (reached() ? Effect.fail(stop) : Effect.void)),
    stopReason: reason,
    refusal: reason,
    awaitStop: Effect.suspend(() => Effect.as(Effect.sleep(Math.max(0, end - clock.currentTimeMillisUnsafe())), stop))
  } satisfies Partial<Limits>
})
