/** What the live view of a run shows at one moment, as plain data. */
import type { BreakerState } from "@baton/core/Safety"
import type { Usage } from "@baton/core/Usage"

/** The limits that a run was given; what is left out does not exist. */
export interface Limits {
  readonly maxCostUsd?: number | undefined
  readonly maxTokens?: number | undefined
  readonly maxIterations?: number | undefined
  readonly maxConsecutiveFailures?: number | undefined
  readonly maxDurationMillis?: number | undefined
}

/** How the run stands against its limits. */
export interface SafetyView {
  readonly limits: Limits
  /** Undefined until the breaker has said something: it starts closed. */
  readonly breaker: BreakerState | undefined
  readonly failuresInARow: number
  readonly attempts: number
}

/** A task at work. */
export interface TaskRow {
  readonly id: string
  readonly attempt: number
  readonly ageMillis: number
  /** `waiting` is for a call that failed and is made again, `paced` for the turn under a rate limit. */
  readonly doing: "executing" | "verifying" | "waiting" | "paced"
  /** How long it waits still, while it does. */
  readonly waitMillis: number
  /** What it is about, or why it waits. */
  readonly text: string
}

/** An attempt that failed. */
export interface FailureRow {
  readonly id: string
  readonly attempt: number
  /** How long ago. */
  readonly ageMillis: number
  readonly feedback: string
  /** Whether the task is in the dead-letter queue; it is tried again otherwise. */
  readonly isFinal: boolean
}

/** A key, or what else can be typed, and what it does. */
export type Hint = readonly [key: string, what: string]

/** The view. */
export interface View {
  readonly state: "running" | "paused" | "ending" | "waiting" | "idle"
  readonly completed: number
  readonly failed: number
  readonly running: number
  /** Undefined where nobody knows. */
  readonly retrying: number | undefined
  readonly pending: number
  /** Undefined where there is no end, so no share of it either. */
  readonly total: number | undefined
  readonly elapsedMillis: number | undefined
  readonly ratePerSecond: number
  readonly remainingMillis: number | undefined
  readonly usage: Usage | null
  /** Undefined where no run is, only its store. */
  readonly safety: SafetyView | undefined
  readonly maxAttempts: number | undefined
  /** The places in the list of running tasks, so that a task stays in its line; undefined is an empty one. */
  readonly tasks: ReadonlyArray<TaskRow | undefined>
  /** The failed attempts, the last one first. */
  readonly failures: ReadonlyArray<FailureRow>
  /** The widest id seen so far: columns that follow the ids in sight would jump. */
  readonly idWidth: number
  /** Stands in the list when it is empty. */
  readonly message: string | undefined
  readonly hints: ReadonlyArray<Hint>
  /** Shown in place of the lists. */
  readonly help: ReadonlyArray<Hint> | undefined
}
