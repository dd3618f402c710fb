/**
 * The metrics of a run: declared here once, exported by whatever metrics exporter the surrounding program has.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

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

/**
 * Milliseconds from the start of an attempt to its durable end.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attemptDuration = Metric.histogram("baton_attempt_duration_milliseconds", {
  description: "From the start of an attempt to its durable end",
  boundaries: Metric.exponentialBoundaries({ start: 1, factor: 4, count: 11 })
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

/** Attempts that ended in one batch, by outcome. */
export interface Ended {
  completed: number
  retried: number
  failed: number
  released: number
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
})
