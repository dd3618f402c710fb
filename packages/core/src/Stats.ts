/**
 * The counts of a run.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"
import { Usage } from "./Usage.ts"

/**
 * Counts what this run did. The store counts all tasks.
 *
 * @category models
 * @since 0.1.0
 */
export const Stats = Schema.Struct({
  /** Attempts that were started. */
  tasksStarted: Schema.Int,
  tasksCompleted: Schema.Int,
  /** Tasks of `tasksCompleted` without a verifier. */
  tasksUnverified: Schema.Int,
  /** Tasks that were sent to review. */
  tasksInReview: Schema.Int,
  /** Tasks that went to the dead-letter queue. */
  tasksFailed: Schema.Int,
  /** Attempts that failed and are followed by another. */
  tasksRetried: Schema.Int,
  tasksReleased: Schema.Int,
  /** Attempts that called the executor: fewer than `tasksStarted` when saved outputs were verified. */
  executions: Schema.Int,
  leasesLost: Schema.Int,
  elapsedSeconds: Schema.Finite,
  /** The share of completed tasks among completed and failed ones, from 0 to 1; 0 if there are none. */
  successRate: Schema.Finite,
  /** Tokens and cost of all attempts; absent when nothing was metered. */
  usage: optionalNullOr(Usage)
})

/** @since 0.1.0 */
export interface Stats extends Schema.Schema.Type<typeof Stats> {}
