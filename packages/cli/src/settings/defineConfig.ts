/**
 * The types of `baton.config.ts`.
 *
 * @since 0.1.0
 */
import type { Executor } from "@baton/core/Executor"
import type { Hook } from "@baton/core/Hooks"
import type { Safety } from "@baton/core/Safety"
import type { TaskStore } from "@baton/core/TaskStore"
import type { Verifier } from "@baton/core/Verifier"
import type { Layer } from "effect/Layer"

/**
 * A duration, as flags take it: `500ms`, `30s`, `10m`, `8h`.
 *
 * @category models
 * @since 0.1.0
 */
export type DurationText = `${number}${"ms" | "s" | "m" | "h" | "d"}`

/**
 * What holds for every command in this directory. Each setting is a flag in camel case, with the flag's default; where a
 * flag takes the name of a part, a layer of your own can stand here. A flag wins over the environment, and the
 * environment over this file. Relative paths are relative to the working directory.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** Where the tasks are: a URL such as `sqlite:.baton/baton.db`, or a layer. */
  readonly store?: string | Layer<TaskStore, unknown>
  /** The command line that does a task: the description on stdin, the output from stdout. */
  readonly exec?: string
  /** The same in a shell, for pipes and redirections. */
  readonly shell?: string
  /** An executor by name, or a layer. */
  readonly executor?: "claude" | "claude-code" | "fake" | Layer<Executor, unknown>
  /** The command line that checks an output: the output on stdin; exit code 0 accepts. */
  readonly verify?: string
  /** A verifier by name, or a layer. */
  readonly verifier?: "claude" | "always-pass" | Layer<Verifier, unknown>
  /** Accept every output; says that this is meant. */
  readonly noVerify?: boolean
  /** Limits of your own, besides those below. */
  readonly safety?: Layer<Safety, unknown>
  /** Called with every event of a run. */
  readonly hooks?: ReadonlyArray<Hook>
  /** Tasks at the same time. */
  readonly concurrency?: number
  /** Tasks claimed ahead; raise it for tasks of milliseconds. */
  readonly prefetch?: number
  /** Attempts per task, the first included. */
  readonly maxAttempts?: number
  /** The wait before the second attempt; it doubles with each further one. */
  readonly retryDelay?: DurationText
  /** The longest that one attempt may take. */
  readonly timeout?: DurationText
  /** The longest that a command may print nothing. */
  readonly idleTimeout?: DurationText
  /** The longest that one verification may take. */
  readonly verifyTimeout?: DurationText
  /** Stop a run after so many attempts. */
  readonly maxIterations?: number
  /** Stop a run after so many failed attempts with no success in between. */
  readonly maxConsecutiveFailures?: number
  /** Stop a run before it costs more, in US dollars. */
  readonly maxCost?: number
  /** Stop a run before it uses more tokens. */
  readonly maxTokens?: number
  /** Give a task up before all its attempts together cost more, in US dollars. */
  readonly maxCostPerTask?: number
  /** Give a task up before all its attempts together use more tokens. */
  readonly maxTokensPerTask?: number
  /** Stop a run after this long. */
  readonly maxDuration?: DurationText
  /** How long running tasks may go on once a run has to stop. */
  readonly drainTimeout?: DurationText
  /** A task whose worker died is taken over after this long. */
  readonly lease?: DurationText
  /** What becomes of a task whose worker died. */
  readonly onCrash?: "retry" | "dead-letter"
  /** A command line that is run for each completed task. */
  readonly onComplete?: string
  /** A command line that is run for each task that goes to the dead-letter queue. */
  readonly onFail?: string
  /** A command line that is run when a run has ended. */
  readonly onEnd?: string
  /** An address that these events are posted to. */
  readonly webhook?: string
  /** The model that does the work. */
  readonly model?: string
  /** The model that checks it. */
  readonly judgeModel?: string
  /** Instructions to the model for every task. */
  readonly system?: string
  /** The same, from a file. */
  readonly systemFile?: string
  /** What the judge is to look for besides what the task says. */
  readonly criteria?: string
  /** Ask the judge so often again before an output is rejected; the majority counts. */
  readonly confirm?: number
  /** Reject what the judge passes with less confidence, from 0 to 1. */
  readonly minConfidence?: number
  /** The longest answer, in tokens. */
  readonly maxOutputTokens?: number
  /** How hard the model thinks. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max"
  /** A file with the JSON Schema that answers have to meet. */
  readonly outputSchema?: string
  /** What Claude Code may do unasked. */
  readonly permissionMode?: string
  /** Tools that Claude Code may use unasked, such as `Edit,Bash(npm test *)`. */
  readonly allowedTools?: string
  /** The directory that Claude Code works in. */
  readonly cwd?: string
  /** The most turns that an attempt of Claude Code may take. */
  readonly maxTurns?: number
  /** End a session of Claude Code when it has cost this much, in US dollars. */
  readonly maxCostPerAttempt?: number
  /** A JSON file with prices of models, in US dollars for a million tokens. */
  readonly prices?: string
  /** The most requests a minute to each model. */
  readonly rpm?: number
  /** The most input tokens a minute to each model. */
  readonly inputTpm?: number
  /** The most output tokens a minute to each model. */
  readonly outputTpm?: number
  /** Asks Claude in batches, at half the price: answers come within a day. */
  readonly batch?: boolean
  /** Asks Claude again what it answered before; answers are otherwise kept beside the store. */
  readonly noCache?: boolean
  /** Keep secrets that are found in metadata, feedback and errors. */
  readonly noRedact?: boolean
  /** Serve metrics to Prometheus: a port on this machine, or an address and a port. */
  readonly metricsPort?: number | string
  /** What a run prints: for people, or every event as JSON. */
  readonly output?: "human" | "ndjson"
  /** Progress as lines of text, one every now and then, in place of a live view: for screen readers. */
  readonly plain?: boolean
  /** No progress and no summary, only what went wrong. */
  readonly quiet?: boolean
  /** The least important messages to log. */
  readonly logLevel?: "trace" | "debug" | "info" | "warn" | "error" | "none"
  /** How messages are logged. */
  readonly logFormat?: "human" | "json"
}

/**
 * A configuration: settings, and profiles that are laid over them by `--profile NAME`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatonConfig extends Settings {
  readonly profiles?: Readonly<Record<string, Settings>>
}

/**
 * Returns its argument: it is there for the types, in `export default defineConfig({ ... })`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const defineConfig = (config: BatonConfig): BatonConfig => config
