/**
 * Safety decides whether the next attempt may start, and keeps the books of what the run spends.
 *
 * Limits are layers: a circuit breaker, a budget, a deadline, or all of them together. There is no default: a run
 * without limits has to say so with `layerAllowAll`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as budget from "./internal/safety/budget.ts"
import * as circuitBreaker from "./internal/safety/circuitBreaker.ts"
import { combine } from "./internal/safety/combine.ts"
import * as deadline from "./internal/safety/deadline.ts"
import { buildAll, type LayersOf } from "./internal/layers.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import type { Usage } from "./Usage.ts"

/**
 * The safety service. An orchestrator asks `allow` before every attempt and records how it ended.
 *
 * @category services
 * @since 0.1.0
 */
export class Safety extends Context.Service<Safety, SafetyService>()("@baton/core/Safety") {}

/** @since 0.1.0 */
export interface SafetyService {
  /** Lets one attempt start. May wait (a breaker that cools down); fails when the run has to stop. */
  readonly allow: Effect.Effect<void, SafetyStop>
  /**
   * Sets money and tokens aside before a paid call. Waits while calls under way may still free enough of them. Once the run
   * has to stop, what is left is still there for work under way, so that an output that was paid for can be judged. Call it
   * where interruption is off, so that what was granted is not lost on its way; its wait can be interrupted all the same.
   */
  readonly reserve: (spend: Spend) => Effect.Effect<Reservation, SafetyStop>
  /** An attempt was accepted. `unreserved` is what it used beyond its reservations. */
  readonly recordSuccess: (unreserved: Usage | null) => Effect.Effect<void>
  /** An attempt failed or was rejected. `unreserved` is what it used beyond its reservations. */
  readonly recordFailure: (reason: string, unreserved: Usage | null) => Effect.Effect<void>
  /** An attempt ended without counting: given back, or its lease was lost. What it used counts all the same. */
  readonly recordRelease: (unreserved: Usage | null) => Effect.Effect<void>
  /** Why the run has to stop, once it has to. */
  readonly stopReason: Effect.Effect<Option.Option<SafetyStop>>
  /** Returns when the run has to stop; never before. */
  readonly awaitStop: Effect.Effect<SafetyStop>
  /** Changes of the breaker's state, from now on. */
  readonly changes: Stream.Stream<BreakerState>
}

/** The most that a paid call can cost. */
export interface Spend {
  /** USD; null when the price is unknown, which a budget in USD refuses. */
  readonly costUsd: number | null
  readonly tokens: number
  /** What is paid for, a model's name for instance; named in the reason when it is refused. */
  readonly what: string
}

/** Money and tokens set aside. Commit it exactly once. */
export interface Reservation {
  /** Books what the call used; null books the whole reservation. */
  readonly commit: (usage: Usage | null) => Effect.Effect<void>
}

/**
 * Where a circuit breaker stands: `closed` lets work through, `open` waits for the cool-down, `half-open` has let one
 * probe through and waits for how it ends.
 */
export interface BreakerState {
  readonly state: "closed" | "open" | "half-open"
  readonly reason: string
}

const reservation: Reservation = { commit: () => Effect.void }

/**
 * Completes a partial implementation: what is left out allows, records nothing and never stops.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Partial<SafetyService> & Pick<SafetyService, "allow">): SafetyService => ({
  reserve: () => Effect.succeed(reservation),
  recordSuccess: () => Effect.void,
  recordFailure: () => Effect.void,
  recordRelease: () => Effect.void,
  stopReason: Effect.succeedNone,
  awaitStop: Effect.never,
  changes: Stream.empty,
  ...options
})

/**
 * No limits at all.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAllowAll: Layer.Layer<Safety> = Layer.succeed(Safety, make({ allow: Effect.void }))

/**
 * Stops a run after `maxIterations` attempts, or after `maxConsecutiveFailures` failed attempts without a success in
 * between. With `coolDown`, consecutive failures do not stop the run: attempts wait that long, then one goes ahead as a
 * probe, and the rest follow when it succeeds. A limit that is left out does not exist.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCircuitBreaker = (options: {
  readonly maxIterations?: number | undefined
  readonly maxConsecutiveFailures?: number | undefined
  readonly coolDown?: Duration.Input | undefined
}): Layer.Layer<Safety> =>
  Layer.effect(
    Safety,
    Effect.map(
      circuitBreaker.make({
        maxIterations: options.maxIterations ?? Infinity,
        maxConsecutiveFailures: options.maxConsecutiveFailures ?? Infinity,
        coolDown: Option.map(Option.fromUndefinedOr(options.coolDown), Duration.fromInputUnsafe)
      }),
      make
    )
  )

/**
 * Holds a run to an amount of money, of tokens, or both. A call is paid for by reserving its worst case first, so the
 * sum of what is committed never exceeds the limit, at any concurrency. A call whose price is unknown is refused under
 * a limit in USD.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBudget = (options: {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
}): Layer.Layer<Safety> => Layer.effect(Safety, Effect.map(budget.make(options), make))

/**
 * Stops a run this long after the layer was built. Work under way is drained.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeadline = (duration: Duration.Input): Layer.Layer<Safety> =>
  Layer.effect(Safety, Effect.map(deadline.make(Duration.fromInputUnsafe(duration)), make))

/**
 * Several limits at once: an attempt starts when all of them allow it, and the first that wants to stop stops the run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerAll = <Layers extends LayersOf<Safety>>(
  ...layers: Layers
): Layer.Layer<Safety, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  Layer.effect(Safety, Effect.map(buildAll(Safety, layers), combine))
