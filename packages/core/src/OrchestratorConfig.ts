/**
 * How an orchestrator behaves. Every field has a default.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as LogLevel from "effect/LogLevel"
import * as RetryPolicy from "./RetryPolicy.ts"

/**
 * What can be configured.
 *
 * @category models
 * @since 0.1.0
 */
export interface OrchestratorConfig {
  /** Names this worker in the ledger; made unique by a random suffix. Default "worker". */
  readonly owner?: string | undefined
  /** Whether outputs are verified at all. Default true. */
  readonly verifyResults?: boolean | undefined
  /** Whether a failed attempt is followed by another. Default true. */
  readonly retryOnFailure?: boolean | undefined
  /** Total attempts per task, the first included. Default 3. */
  readonly maxAttempts?: number | undefined
  /**
   * USD that one task may cost over all its attempts, judging included. A call that could exceed it is not made, and the
   * task goes to the dead-letter queue. Default no limit.
   */
  readonly maxCostPerTask?: number | undefined
  /** Tokens that one task may use over all its attempts, judging included. Default no limit. */
  readonly maxTokensPerTask?: number | undefined
  /** The wait between attempts. Default `RetryPolicy.exponential()`. */
  readonly retryPolicy?: RetryPolicy.RetryPolicy | undefined
  /** Tries of the same attempt after transient errors of executor or verifier. Default: 5 more, 0.5 s doubling to 30 s. */
  readonly transientRetry?: RetryPolicy.TransientRetry | undefined
  /** The longest `retryAfter` that is waited for; a longer one fails the attempt. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** A pause after each task, per worker. Default none. */
  readonly pauseBetweenTasks?: Duration.Input | undefined
  /** Tasks at the same time. Default 1. */
  readonly concurrency?: number | undefined
  /** Tasks claimed ahead of the workers. Default: the concurrency. Raise it for tasks of milliseconds. */
  readonly prefetch?: number | undefined
  /** The longest execution of one attempt, its transient retries included. Default 10 minutes. */
  readonly executionTimeout?: Duration.Input | undefined
  /** The longest verification of one output, its retries included. Default 5 minutes. */
  readonly verificationTimeout?: Duration.Input | undefined
  /** After this long without a heartbeat a task is taken over. Default 30 seconds; the heartbeat is a third of it. */
  readonly leaseDuration?: Duration.Input | undefined
  /** What becomes of a task whose worker died: `retry`, or `dead-letter` for work that must not run twice. Default `retry`. */
  readonly onCrash?: "retry" | "dead-letter" | undefined
  /** How long work under way may go on once the run is told to stop. Default 30 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** Whether prompts and outputs are part of traces. Default false. */
  readonly traceContent?: boolean | undefined
  /** The least important log messages that are kept. Default: what the surrounding program has. */
  readonly logLevel?: LogLevel.LogLevel | undefined
}

/**
 * The defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaults = {
  verifyResults: true,
  retryOnFailure: true,
  maxAttempts: 3,
  retryPolicy: RetryPolicy.exponential(),
  transientRetry: RetryPolicy.transient,
  maxRetryAfter: Duration.minutes(5),
  pauseBetweenTasks: Duration.zero,
  concurrency: 1,
  executionTimeout: Duration.minutes(10),
  verificationTimeout: Duration.minutes(5),
  leaseDuration: Duration.seconds(30),
  onCrash: "retry",
  drainTimeout: Duration.seconds(30),
  traceContent: false
} as const satisfies OrchestratorConfig

/** A configuration with all defaults filled in. */
export interface Resolved {
  readonly verifyResults: boolean
  readonly maxAttempts: number
  readonly maxCostPerTask: number | undefined
  readonly maxTokensPerTask: number | undefined
  readonly retryPolicy: RetryPolicy.RetryPolicy
  readonly transientRetry: RetryPolicy.TransientRetry
  readonly maxRetryAfter: Duration.Duration
  readonly pauseBetweenTasks: Duration.Duration
  readonly concurrency: number
  readonly prefetch: number
  readonly executionTimeout: Duration.Duration
  readonly verificationTimeout: Duration.Duration
  readonly leaseDuration: Duration.Duration
  readonly onCrash: "retry" | "dead-letter"
  readonly drainTimeout: Duration.Duration
  readonly traceContent: boolean
  readonly logLevel: LogLevel.LogLevel | undefined
}

/**
 * What is wrong with a configuration, as a sentence for the person who wrote it; undefined when nothing is.
 *
 * @category configuration
 * @since 0.1.0
 */
export const problemOf = (config: OrchestratorConfig): string | undefined => {
  for (const name of ["concurrency", "prefetch", "maxAttempts"] as const) {
    const value = config[name]
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue
    if (name === "maxAttempts" && value === Infinity) continue
    return `${name} has to be a whole number of at least 1, and is ${value}.`
  }
  for (const name of ["maxCostPerTask", "maxTokensPerTask"] as const) {
    const value = config[name]
    if (value !== undefined && !(value > 0)) return `${name} has to be above 0, and is ${value}.`
  }
  return undefined
}

/**
 * Fills in the defaults. `retryOnFailure: false` becomes a single attempt.
 *
 * @category configuration
 * @since 0.1.0
 */
export const resolve = (config: OrchestratorConfig): Resolved => {
  const concurrency = config.concurrency ?? defaults.concurrency
  const duration = (value: Duration.Input | undefined, fallback: Duration.Duration) =>
    value === undefined ? fallback : Duration.fromInputUnsafe(value)
  return {
    verifyResults: config.verifyResults ?? defaults.verifyResults,
    maxAttempts: config.retryOnFailure === false ? 1 : (config.maxAttempts ?? defaults.maxAttempts),
    maxCostPerTask: config.maxCostPerTask,
    maxTokensPerTask: config.maxTokensPerTask,
    retryPolicy: config.retryPolicy ?? defaults.retryPolicy,
    transientRetry: config.transientRetry ?? defaults.transientRetry,
    maxRetryAfter: duration(config.maxRetryAfter, defaults.maxRetryAfter),
    pauseBetweenTasks: duration(config.pauseBetweenTasks, defaults.pauseBetweenTasks),
    concurrency,
    prefetch: config.prefetch ?? concurrency,
    executionTimeout: duration(config.executionTimeout, defaults.executionTimeout),
    verificationTimeout: duration(config.verificationTimeout, defaults.verificationTimeout),
    leaseDuration: duration(config.leaseDuration, defaults.leaseDuration),
    onCrash: config.onCrash ?? defaults.onCrash,
    drainTimeout: duration(config.drainTimeout, defaults.drainTimeout),
    traceContent: config.traceContent ?? defaults.traceContent,
    logLevel: config.logLevel
  }
}
