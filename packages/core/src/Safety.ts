/**
 * Safety decides whether the next attempt may start, and accounts for what a run spends.
 *
 * Limits are layers: a circuit breaker, a budget, a deadline, or all of them together. Each run has its own limits, counted
 * from its start. There is no default: for a run without limits, provide `layerAllowAll`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as audit from "./internal/safety/audit.ts"
import * as runBudget from "./internal/safety/runBudget.ts"
import * as circuitBreaker from "./internal/safety/circuitBreaker.ts"
import { combine } from "./internal/safety/combine.ts"
import * as deadline from "./internal/safety/deadline.ts"
import { perRun } from "./internal/safety/perRun.ts"
import { buildAll, type LayersOf } from "./internal/layers.ts"
import type { Amount } from "./Budget.ts"
import type { SafetyStop } from "./SafetyStop.ts"
import { TaskStore } from "./TaskStore.ts"
import type { Usage } from "./Usage.ts"

/**
 * The safety service. An orchestrator takes the limits of each run from `forRun`, asks `allow` before every attempt, and
 * records its outcome.
 *
 * @category services
 * @since 0.1.0
 */
export class Safety extends Context.Service<Safety, SafetyService>()("@baton/core/Safety") {}

/**
 * The limits of the run that was started last, and the limits of the next run.
 *
 * @category models
 * @since 0.1.0
 */
export interface SafetyService extends Limits {
  /** The limits for one run, counted from now. They live until the scope ends. */
  readonly forRun: Effect.Effect<Limits, never, Scope.Scope>
}

/**
 * The limits of one run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Lets one attempt start. May wait, for a breaker that cools down; fails when the run has to stop. */
  readonly allow: Effect.Effect<void, SafetyStop>
  /**
   * Sets money and tokens aside before a paid call. Waits while running calls may still free enough of them. After a limit
   * has stopped the run, the rest of the budget is still available to running attempts, so that an output that was paid
   * for can be verified. Call it where interruption is off, so that a granted reservation is not lost; its wait can be
   * interrupted anyway.
   */
  readonly reserve: (spend: Spend) => Effect.Effect<Reservation, SafetyStop>
  /** An attempt was accepted. `unreserved` is its usage beyond its reservations. */
  readonly recordSuccess: (unreserved: Usage | undefined) => Effect.Effect<void>
  /** An attempt failed or was rejected. `unreserved` is its usage beyond its reservations. */
  readonly recordFailure: (reason: string, unreserved: Usage | undefined) => Effect.Effect<void>
  /** An attempt was released or lost its lease. It does not count, but its usage does. */
  readonly recordRelease: (unreserved: Usage | undefined) => Effect.Effect<void>
  /** Why the run has to stop; none while it may continue. */
  readonly stopReason: Effect.Effect<Option.Option<SafetyStop>>
  /**
   * Why the next attempt would be refused; none while it would be allowed. Asking counts nothing. A run with nothing but
   * retries ahead stops when this says that they will be refused.
   */
  readonly refusal: Effect.Effect<Option.Option<SafetyStop>>
  /** Returns when the run has to stop, and not before. */
  readonly awaitStop: Effect.Effect<SafetyStop>
  /** The changes of the circuit breaker's state from now on. */
  readonly changes: Stream.Stream<BreakerState>
}

/** Money in USD, null when the price is unknown, and tokens. */
export interface SpendAmount {
  /** A budget in USD refuses an unknown price. */
  readonly costUsd: number | null
  readonly tokens: number
}

/** The most that a paid call can cost. */
export interface Spend extends SpendAmount {
  /** The name of the paid service, for instance a model. The reason of a refusal contains it. */
  readonly what: string
  /**
   * The least amount with which the call can be made; default the whole. A budget that is short grants an amount between the
   * two, and the call has to keep to it, for instance by a lower maximum of tokens.
   *
   * A budget asks each time it considers the call, because the knowledge about similar calls changes. `waiting` is the number
   * of calls that wait for this budget, this one included. Return undefined to wait until a running call has ended; at least one
   * call of the same kind has to be running then.
   */
  readonly least?: ((waiting: number) => SpendAmount | undefined) | undefined
}

/** Money and tokens set aside. Commit it exactly once. */
export interface Reservation {
  /** The amount set aside. Without it, the worst case. */
  readonly granted?: SpendAmount | undefined
  /** The part of it that is reserved of the budget of the queue; undefined in a queue without a budget. */
  readonly hold?: Hold | undefined
  /** Charges what the call used; undefined charges the whole reservation. */
  readonly commit: (usage: Usage | undefined) => Effect.Effect<void>
}

/**
 * What a call has reserved of the budget of its queue, for a service that continues the call without this run.
 *
 * - `lease`: it ends with the attempt, which commits what the call used
 * - `journal`: it is in the journal of batches, which commits what the call costs
 * - `none`: it was not needed, and is free
 *
 * @since 0.2.0
 */
export interface Hold {
  readonly amount: Amount
  readonly keeper: () => Keeper
  /** Notes that the store has moved it. */
  readonly moveTo: (keeper: Keeper) => void
}

/** @since 0.2.0 */
export type Keeper = "lease" | "journal" | "none"

/**
 * The state of a circuit breaker: `closed` lets attempts start, `open` waits for the cool-down, `half-open` has let one
 * attempt start as a probe and waits for its outcome.
 */
export interface BreakerState {
  readonly state: "closed" | "open" | "half-open"
  readonly reason: string
}

const reservation: Reservation = { commit: () => Effect.void }

/**
 * Completes a partial implementation. The missing members allow everything, record nothing and never stop a run. Without
 * `forRun`, all runs share the same limits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Partial<SafetyService> & Pick<SafetyService, "allow">): SafetyService => {
  const { forRun, ...partial } = options
  const limits = complete(partial)
  return { ...limits, forRun: forRun ?? Effect.succeed(limits) }
}

const complete = (partial: Partial<Limits> & Pick<Limits, "allow">): Limits => ({
  reserve: () => Effect.succeed(reservation),
  recordSuccess: () => Effect.void,
  recordFailure: () => Effect.void,
  recordRelease: () => Effect.void,
  stopReason: Effect.succeedNone,
  refusal: Effect.succeedNone,
  awaitStop: Effect.never,
  changes: Stream.empty,
  ...partial
})

const layerPerRun = (
  limits: Effect.Effect<Partial<Limits> & Pick<Limits, "allow">, never, Scope.Scope>
): Layer.Layer<Safety> => Layer.effect(Safety, perRun(Effect.map(limits, complete)))

/**
 * No limits at all.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAllowAll: Layer.Layer<Safety> = Layer.succeed(Safety, make({ allow: Effect.void }))

/**
 * Stops a run after `maxIterations` attempts, or after `maxConsecutiveFailures` failed attempts without a success in
 * between. With `coolDown`, consecutive failures do not stop the run: attempts wait that long, then one starts as a probe,
 * and the others follow when it succeeds. `maxFailuresBeforeSuccess` stops a run whose first attempts all fail, as they do
 * with a wrong command or a missing key. A limit that is left out does not exist.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCircuitBreaker = (options: {
  readonly maxIterations?: number | undefined
  readonly maxConsecutiveFailures?: number | undefined
  readonly maxFailuresBeforeSuccess?: number | undefined
  readonly coolDown?: Duration.Input | undefined
}): Layer.Layer<Safety> =>
  layerPerRun(
    circuitBreaker.make({
      maxIterations: options.maxIterations ?? Infinity,
      maxConsecutiveFailures: options.maxConsecutiveFailures ?? Infinity,
      maxFailuresBeforeSuccess: options.maxFailuresBeforeSuccess ?? Infinity,
      coolDown: Option.map(Option.fromUndefinedOr(options.coolDown), Duration.fromInputUnsafe)
    })
  )

/**
 * Limits a run to an amount of money, of tokens, or both. A call reserves its worst case before it is made, so the committed
 * sum never exceeds the limit, at any concurrency. A limit in USD refuses calls whose price is unknown.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBudget = (options: {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
}): Layer.Layer<Safety> => layerPerRun(runBudget.make(options))

/**
 * Stops a run this long after its start. Running tasks are drained.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeadline = (duration: Duration.Input): Layer.Layer<Safety> =>
  layerPerRun(deadline.make(Duration.fromInputUnsafe(duration)))

/**
 * Stops a run when people disagree too often with a judge that has accepted outputs: when the lower bound of the 95 % interval
 * of its rate of false accepts exceeds `maxFalseAccept`, from 0 to 1. Counts the findings about all verdicts in the sample
 * (`Audit`) of a judge, the same models by the same criteria, that has judged since the run started.
 *
 * Reads the sample at each `interval` (default 10 seconds), and less often if that took more than 5 % of the time.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerAudit = (options: {
  readonly queues: ReadonlyArray<string>
  readonly share: number
  readonly maxFalseAccept: number
  readonly interval?: Duration.Input | undefined
}): Layer.Layer<Safety, never, TaskStore> =>
  Layer.unwrap(
    Effect.map(TaskStore, (store) =>
      layerPerRun(
        audit.make(store, { ...options, interval: Duration.fromInputUnsafe(options.interval ?? "10 seconds") })
      )
    )
  )

/**
 * Several limits at once: an attempt starts when all of them allow it, and the first limit that is reached stops the run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const layerAll = <Layers extends LayersOf<Safety>>(
  ...layers: Layers
): Layer.Layer<Safety, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  Layer.effect(
    Safety,
    Effect.flatMap(buildAll(Safety, layers), (services) =>
      perRun(
        Effect.map(
          Effect.forEach(services, ({ forRun }) => forRun),
          combine
        )
      )
    )
  )
