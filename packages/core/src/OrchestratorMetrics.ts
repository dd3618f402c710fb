/**
 * The metrics of a run: declared here once, exported by whatever metrics exporter the surrounding program has.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { BreakerState } from "./Safety.ts"
import type { Usage } from "./Usage.ts"

/**
 * Attempts that ended, by `outcome`: completed, retried, failed, released.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attempts = Metric.counter("baton_attempts_total", {
  description: "Attempts that ended, by outcome",
  incremental: true
})

/** From a millisecond to more than an hour. */
const seconds = Metric.exponentialBoundaries({ start: 0.001, factor: 4, count: 13 })

/**
 * Seconds from the start of an attempt to its durable end.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attemptDuration = Metric.histogram("baton_attempt_duration_seconds", {
  description: "From the start of an attempt to its durable end, in seconds",
  boundaries: seconds
})

/**
 * Seconds that verifications took which do more than compute, their retries included.
 *
 * @category metrics
 * @since 0.1.0
 */
export const verificationDuration = Metric.histogram("baton_verification_duration_seconds", {
  description: "Verification of one output, retries included, in seconds",
  boundaries: seconds
})

/**
 * Tries within an attempt after a transient error, by what is tried again (`of`): execution, verification.
 *
 * @category metrics
 * @since 0.1.0
 */
export const transientRetries = Metric.counter("baton_transient_retries_total", {
  description: "Tries within an attempt after a transient error",
  incremental: true
})

/**
 * Tokens of attempts that ended, by `type`: input, output, cache_read, cache_write.
 *
 * @category metrics
 * @since 0.1.0
 */
export const tokens = Metric.counter("baton_tokens_total", {
  description: "Tokens of attempts that ended",
  incremental: true
})

/**
 * US dollars that attempts which ended have cost, as far as it is known.
 *
 * @category metrics
 * @since 0.1.0
 */
export const cost = Metric.counter("baton_cost_usd_total", {
  description: "US dollars that attempts have cost, as far as it is known",
  incremental: true
})

/**
 * 1 for the `state` that the circuit breaker is in, 0 for the others: closed, open, half-open.
 *
 * @category metrics
 * @since 0.1.0
 */
export const circuit = Metric.gauge("baton_circuit_state", {
  description: "1 for the state that the circuit breaker is in"
})

/**
 * Tasks that are claimed and not settled.
 *
 * @category metrics
 * @since 0.1.0
 */
export const held = Metric.gauge("baton_tasks_held", { description: "Tasks that are claimed and not settled" })

/**
 * Leases that were lost to another worker.
 *
 * @category metrics
 * @since 0.1.0
 */
export const leasesLost = Metric.counter("baton_leases_lost_total", {
  description: "Leases that were lost to another worker",
  incremental: true
})

const completed = Metric.withAttributes(attempts, { outcome: "completed" })
const retried = Metric.withAttributes(attempts, { outcome: "retried" })
const failed = Metric.withAttributes(attempts, { outcome: "failed" })
const released = Metric.withAttributes(attempts, { outcome: "released" })

/** Attempts that ended in one batch, by outcome, and what they used. */
export interface Ended {
  completed: number
  retried: number
  failed: number
  released: number
  usage: Usage | null
  /** The part of the cost that is known. */
  costUsd: number
}

/**
 * Counts the attempts of one batch.
 *
 * @category metrics
 * @since 0.1.0
 */
export const countEnded = Effect.fnUntraced(function* (ended: Ended) {
  if (ended.completed > 0) yield* Metric.update(completed, ended.completed)
  if (ended.retried > 0) yield* Metric.update(retried, ended.retried)
  if (ended.failed > 0) yield* Metric.update(failed, ended.failed)
  if (ended.released > 0) yield* Metric.update(released, ended.released)
  if (ended.costUsd > 0) yield* Metric.update(cost, ended.costUsd)
  const { usage } = ended
  if (usage === null) return
  for (const [metric, used] of kinds) {
    if (usage[used] > 0) yield* Metric.update(metric, usage[used])
  }
})

const kinds = [
  [Metric.withAttributes(tokens, { type: "input" }), "inputTokens"],
  [Metric.withAttributes(tokens, { type: "output" }), "outputTokens"],
  [Metric.withAttributes(tokens, { type: "cache_read" }), "cacheReadTokens"],
  [Metric.withAttributes(tokens, { type: "cache_write" }), "cacheWriteTokens"]
] as const

/**
 * Records how long an attempt took, in milliseconds.
 *
 * @category metrics
 * @since 0.1.0
 */
export const measureAttempt = (millis: number): Effect.Effect<void> => Metric.update(attemptDuration, millis / 1000)

/**
 * Records how long a verification took, in milliseconds.
 *
 * @category metrics
 * @since 0.1.0
 */
export const measureVerification = (millis: number): Effect.Effect<void> =>
  Metric.update(verificationDuration, millis / 1000)

/**
 * Counts a try within an attempt.
 *
 * @category metrics
 * @since 0.1.0
 */
export const countRetry = (of: "execution" | "verification"): Effect.Effect<void> =>
  Metric.update(of === "execution" ? executionRetries : verificationRetries, 1)

const executionRetries = Metric.withAttributes(transientRetries, { of: "execution" })
const verificationRetries = Metric.withAttributes(transientRetries, { of: "verification" })

/**
 * Says which state the circuit breaker is in.
 *
 * @category metrics
 * @since 0.1.0
 */
export const setCircuit = Effect.fnUntraced(function* (state: BreakerState["state"]) {
  for (const [name, metric] of circuitStates) yield* Metric.update(metric, name === state ? 1 : 0)
})

const circuitStates = (["closed", "open", "half-open"] as const).map(
  (state) => [state, Metric.withAttributes(circuit, { state })] as const
)
