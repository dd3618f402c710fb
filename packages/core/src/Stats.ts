/**
 * What a run did, in numbers.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.ts"

/**
 * Counts of this run alone; the store counts all tasks.
 *
 * @category models
 * @since 0.1.0
 */
export const Stats = Schema.Struct({
  /** Attempts handed to a worker. */
  tasksStarted: Schema.Int,
  tasksCompleted: Schema.Int,
  /** Those of `tasksCompleted` that no verifier looked at. */
  tasksUnverified: Schema.Int,
  /** Tasks that went to the dead-letter queue. */
  tasksFailed: Schema.Int,
  /** Attempts that failed and are tried again. */
  tasksRetried: Schema.Int,
  tasksReleased: Schema.Int,
  /** Calls of the executor; fewer than `tasksStarted` when saved outputs were verified. */
  executions: Schema.Int,
  leasesLost: Schema.Int,
  elapsedSeconds: Schema.Finite,
  /** Completed out of completed and failed, 0 to 1; 0 when nothing ended. */
  successRate: Schema.Finite,
  /** What the run's attempts used; null when nothing was metered. */
  usage: Schema.NullOr(Usage)
})

/** @since 0.1.0 */
export interface Stats extends Schema.Schema.Type<typeof Stats> {}
