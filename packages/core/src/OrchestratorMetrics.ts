/**
 * The metrics of a run. Any metrics exporter of Effect exports them. Each has the `owner` of the orchestrator's configuration,
 * and all but `circuit` have the `queue` of the task.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * Attempts that ended, by `outcome` as in `Attempt.outcome`: completed, in_review, retried,
 * failed, released.
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
 * Seconds per verification by a verifier that does more than compute, its retries included.
 *
 * @category metrics
 * @since 0.1.0
 */
export const verificationDuration = Metric.histogram("baton_verification_duration_seconds", {
  description: "Verification of one output, retries included, in seconds",
  boundaries: seconds
})

/**
 * Retries within an attempt after a transient error, by the call that is retried (`of`): execution, verification.
 *
 * @category metrics
 * @since 0.1.0
 */
export const transientRetries = Metric.counter("baton_transient_retries_total", {
  description: "Retries within an attempt after a transient error",
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
 * The known part of the cost of attempts that ended, in US dollars.
 *
 * @category metrics
 * @since 0.1.0
 */
export const cost = Metric.counter("baton_cost_usd_total", {
  description: "The known part of the cost of attempts, in US dollars",
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
