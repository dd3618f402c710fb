import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BreakerState, Limits } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"

export const make = Effect.fnUntraced(function* (options: {
  readonly maxIterations: number
  readonly maxConsecutiveFailures: number
  readonly maxFailuresBeforeSuccess: number
  readonly coolDown: Option.Option<Duration.Duration>
}) {
  const scope = yield* Scope.Scope
  const stopped = yield* Deferred.make<SafetyStop>()
  const changes = yield* PubSub.sliding<BreakerState>(16)
  /** Open while the breaker is closed. Otherwise, the end of a cool-down opens it for one probe. */
  const door = Latch.makeUnsafe(true)
  let stop = Option.none<SafetyStop>()
  let iterations = 0
  let consecutiveFailures = 0
  let hasSucceeded = false
  let state: BreakerState["state"] = "closed"
  /** The number of cool-downs. The end of one that was superseded has no effect. */
  let coolDowns = 0

  // Published before the door opens: an attempt that waits at it starts at once, and its events must come later.
  const become = (next: BreakerState["state"], reason: string) =>
    Effect.suspend(() => {
      const changed = state !== next
      state = next
      if (next === "open") door.closeUnsafe()
      const published = changed ? PubSub.publish(changes, { state: next, reason }) : Effect.void
      return Effect.andThen(
        published,
        Effect.sync(() => state !== "open" && door.openUnsafe())
      )
    })

  const halt = (reason: SafetyStop) =>
    Effect.sync(() => {
      if (Option.isNone(stop)) stop = Option.some(reason)
      Deferred.doneUnsafe(stopped, Effect.succeed(reason))
      // Attempts that wait for a probe must not wait any longer.
      door.openUnsafe()
    })

  const startCoolDown = (coolDown: Duration.Duration) =>
    Effect.suspend(() => {
      const current = ++coolDowns
      const end = Effect.suspend(() =>
        current === coolDowns
          ? become("half-open", "the cool-down is over: one attempt starts as a probe")
          : Effect.void
      )
      return Effect.forkIn(Effect.andThen(Effect.sleep(coolDown), end), scope)
    })

  // The first attempt that comes through the door closes it, and is the probe.
  const enter: Effect.Effect<void, SafetyStop> = Effect.suspend(() => {
    if (state === "closed" || Option.isSome(stop) || !Latch.isOpen(door)) return allow
    door.closeUnsafe()
    return start
  })

  const allow: Effect.Effect<void, SafetyStop> = Effect.suspend(() => {
    if (Option.isSome(stop)) return Effect.fail(stop.value)
    return state === "closed" ? start : Effect.andThen(Latch.await(door), enter)
  })

  const start: Effect.Effect<void, SafetyStop> = Effect.suspend(() => {
    if (iterations < options.maxIterations) {
      iterations++
      return Effect.void
    }
    const reason = iterationsReached()
    return Effect.andThen(halt(reason), Effect.fail(reason))
  })

  const iterationsReached = () =>
    new SafetyStop({
      limit: "iterations",
      message: `The run reached its limit of ${options.maxIterations} ${options.maxIterations === 1 ? "attempt" : "attempts"}.`
    })

  return {
    allow,
    recordSuccess: () =>
      Effect.suspend(() => {
        consecutiveFailures = 0
        hasSucceeded = true
        if (state === "closed") return Effect.void
        coolDowns++
        return become("closed", "an attempt succeeded")
      }),
    recordFailure: (reason) =>
      Effect.suspend(() => {
        consecutiveFailures++
        if (!hasSucceeded && consecutiveFailures >= options.maxFailuresBeforeSuccess) {
          return halt(
            new SafetyStop({
              limit: "no-success",
              message: `${inARow(consecutiveFailures)} before the first success (last: ${reason})`
            })
          )
        }
        // While the breaker is open, attempts that started before it opened can still fail.
        if (state === "open" || consecutiveFailures < options.maxConsecutiveFailures) return Effect.void
        if (Option.isSome(options.coolDown)) {
          return Effect.andThen(become("open", inARow(consecutiveFailures)), startCoolDown(options.coolDown.value))
        }
        return halt(
          new SafetyStop({
            limit: "consecutive-failures",
            message: `${inARow(consecutiveFailures)} (last: ${reason})`
          })
        )
      }),
    // A probe that was released decides nothing, so the next attempt is the probe.
    recordRelease: () =>
      Effect.sync(() => {
        if (state === "half-open") door.openUnsafe()
      }),
    stopReason: Effect.sync(() => stop),
    refusal: Effect.sync(() =>
      Option.isNone(stop) && iterations >= options.maxIterations ? Option.some(iterationsReached()) : stop
    ),
    awaitStop: Deferred.await(stopped),
    changes: Stream.fromPubSub(changes)
  } satisfies Partial<Limits>
})

const inARow = (failures: number): string => (failures === 1 ? "1 failure" : `${failures} failures in a row`)
