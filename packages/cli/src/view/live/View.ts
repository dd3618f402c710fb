/** The data of the live view at one moment. */
import type { BreakerState } from "@baton/core/Safety"
import type { Usage } from "@baton/core/Usage"

/** The limits of a run, those that are set. */
export interface Limits {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
  readonly maxIterations?: number | undefined
  readonly maxConsecutiveFailures?: number | undefined
  readonly maxDurationMillis?: number | undefined
}

/** The progress of the run towards its limits. */
export interface SafetyView {
  readonly limits: Limits
  /** Undefined until the first change; a breaker starts closed. */
  readonly breaker: BreakerState | undefined
  readonly failuresInARow: number
  readonly attempts: number
}

/** A running task, or one that has just ended. */
export interface TaskRow {
  readonly id: string
  readonly attempt: number
  readonly ageMillis: number
  /** `waiting` for the repetition of a failed request, `rate limited` for a slot under a rate limit. */
  readonly doing: "executing" | "verifying" | "waiting" | "rate limited" | "ended"
  /** The remaining waiting time. */
  readonly waitMillis: number
  /** The description, what the task reports itself, or the reason for waiting. */
  readonly text: string
}

/** A failed attempt. */
export interface FailureRow {
  readonly id: string
  readonly attempt: number
  readonly ageMillis: number
  readonly feedback: string
  /** Whether the task is in the dead-letter queue instead of being retried. */
  readonly isFinal: boolean
}

/** A key or a command, and its effect. */
export type Hint = readonly [key: string, effect: string]

/** The view. */
export interface View {
  readonly state: "running" | "paused" | "draining" | "waiting" | "idle"
  readonly completed: number
  readonly failed: number
  readonly running: number
  /** Undefined if unknown. */
  readonly retrying: number | undefined
  readonly pending: number
  /** Undefined for a worker, which waits for new tasks. */
  readonly total: number | undefined
  readonly elapsedMillis: number | undefined
  readonly ratePerSecond: number
  readonly remainingMillis: number | undefined
  readonly usage?: Usage | undefined
  /** Undefined for the view of a store. */
  readonly safety: SafetyView | undefined
  readonly maxAttempts: number | undefined
  /** The lines of the list of running tasks. A task keeps its line until it ends. */
  readonly tasks: ReadonlyArray<TaskRow>
  /** The failed attempts, the most recent first. */
  readonly failures: ReadonlyArray<FailureRow>
  /** The width of the widest id so far, so that the column keeps its width. */
  readonly idWidth: number
  /** Shown if the list is empty. */
  readonly message: string | undefined
  readonly hints: ReadonlyArray<Hint>
  /** Shown instead of the lists. */
  readonly help: ReadonlyArray<Hint> | undefined
}
