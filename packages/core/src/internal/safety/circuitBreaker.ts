import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BreakerState, SafetyService } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"

export const make = Effect.fnUntraced(function* (options: {
  readonly maxIterations: number
  readonly maxConsecutiveFailures: number
  readonly coolDown: Option.Option<Duration.Duration>
}) {
  const scope = yield* Scope.Scope
  const stopped = yield* Deferred.make<SafetyStop>()
  const changes = yield* PubSub.sliding<BreakerState>(16)
  const closed = yield* Latch.make(true)
  let stop = Option.none<SafetyStop>()
  let iterations = 0
  let consecutiveFailures = 0
  let state: BreakerState["state"] = "closed"

  const become = (next: BreakerState["state"], reason: string) =>
    Effect.suspend(() => {
      state = next
      return PubSub.publish(changes, { state: next, reason })
    })

  const halt = (reason: SafetyStop) =>
    Effect.suspend(() => {
      if (Option.isNone(stop)) stop = Option.some(reason)
      return Deferred.succeed(stopped, reason)
    })

  const open = (coolDown: Duration.Duration) =>
    Effect.gen(function* () {
      yield* Latch.close(closed)
      const alreadyCooling = state === "half-open"
      yield* become("open", `${consecutiveFailures} attempts in a row failed`)
      if (!alreadyCooling) yield* Effect.forkIn(probes(coolDown), scope)
    })

  // One probe each cool-down until one succeeds; a probe that was released without an end does not block the next.
  const probes = (coolDown: Duration.Duration) =>
    Effect.sleep(coolDown).pipe(
      Effect.andThen(become("half-open", "the cool-down is over: one attempt goes ahead as a probe")),
      Effect.andThen(Latch.open(closed)),
      Effect.repeat({ while: () => state !== "closed" })
    )

  const allow: Effect.Effect<void, SafetyStop> = Effect.suspend(() => {
    if (Option.isSome(stop)) return Effect.fail(stop.value)
    if (state !== "closed") {
      return Effect.andThen(
        Latch.await(closed),
        Effect.suspend(() => {
          if (state === "closed") return start
          // The end of the cool-down wakes all that wait; the first of them is the probe.
          if (state === "half-open" && Latch.isOpen(closed)) return Effect.andThen(Latch.close(closed), start)
          return allow
        })
      )
    }
    return start
  })

  const start: Effect.Effect<void, SafetyStop> = Effect.suspend(() => {
    if (iterations < options.maxIterations) {
      iterations++
      return Effect.void
    }
    const reason = new SafetyStop({
      limit: "iterations",
      message: `The run reached its limit of ${options.maxIterations} attempts.`
    })
    return Effect.andThen(halt(reason), Effect.fail(reason))
  })

  return {
    allow,
    recordSuccess: () =>
      Effect.suspend(() => {
        consecutiveFailures = 0
        if (state === "closed") return Effect.void
        return Effect.andThen(become("closed", "the probe succeeded"), Latch.open(closed))
      }),
    recordFailure: (reason) =>
      Effect.suspend(() => {
        consecutiveFailures++
        if (state === "open" || consecutiveFailures < options.maxConsecutiveFailures) return Effect.void
        if (Option.isSome(options.coolDown)) return open(options.coolDown.value)
        return halt(
          new SafetyStop({
            limit: "consecutive-failures",
            message: `${consecutiveFailures} attempts in a row failed; the last one: ${reason}`
          })
        )
      }),
    stopReason: Effect.sync(() => stop),
    awaitStop: Deferred.await(stopped),
    changes: Stream.fromPubSub(changes)
  } satisfies Partial<SafetyService>
})
