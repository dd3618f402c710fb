/**
 * An executor that runs Claude Code for each attempt: an agent that reads and writes files and runs commands in a working
 * directory, as the program `claude -p`.
 *
 * The prompt is written to standard input and never part of the arguments: the task's description, and after a failed attempt
 * its output and the reason it was rejected. A description that begins with `/` is a command of Claude Code, as when it is
 * typed; `args: ["--disable-slash-commands"]` turns that off for lists from other people. The environment has
 * `BATON_TASK_ID`, `BATON_ATTEMPT`, `BATON_IDEMPOTENCY_KEY`, `BATON_FEEDBACK`, `BATON_METADATA` and `BATON_DEPENDENCIES`, for hooks and tools.
 *
 * The output of an attempt is Claude's last answer, or with `jsonSchema` JSON that matches the schema. The attempt's usage has
 * the tokens and the cost of all models of the session; the cost is unknown where Claude Code guessed a price. The metadata
 * has `sessionId` (for `claude --resume`), `model`, `turns`, `terminalReason`, `permissionDenials` and the program's exit.
 *
 * | how a session ends | error |
 * |---|---|
 * | at its limit of turns or cost; with an empty answer, without the requested JSON, or without a result | `Failed` |
 * | at `timeout` or `idleTimeout` | `TimedOut` |
 * | the API is overloaded or unreachable, after Claude Code has retried for minutes; a usage limit that ends within `maxRetryAfter` | `Transient` |
 * | the model refused; the first request was invalid or too long | `Permanent` |
 * | no login, a wrong key, no credit, a model or an option that does not exist, no `claude` | `Fatal` |
 * | a usage limit that lasts longer, or does not say when it ends | `RateLimited`: the queue is paused until it ends |
 *
 * A task's own `model` and `system` (`Task.Overrides`) replace `model` and `appendSystemPrompt` of the options.
 *
 * While a session runs, Claude's latest text is reported as the progress of the attempt.
 *
 * When the worker of an attempt died, the next attempt continues its session (`claude --resume`), if this machine has it.
 *
 * A session that is stopped by a limit or by interruption gets SIGINT first, on which Claude Code usually reports its cost,
 * then SIGTERM and SIGKILL, five seconds apart. Signals go to the whole process group.
 *
 * **Budgets**
 *
 * Under a budget in USD an attempt needs `maxBudgetUsd`; without it, the budget refuses the first attempt. Claude Code checks
 * its limit after each turn, so a session costs up to one turn more (measured: 0.22 with a limit of 0.15, and 0.10 with one of
 * 0.01). The reservation is therefore larger than `maxBudgetUsd`: by half of it, or by the largest excess of a session of this
 * executor. That is a margin and not a guarantee: the first time that a last turn costs more, it can exceed the budget by the
 * difference. Claude Code has no limit in tokens, so a budget in tokens is checked after each attempt.
 *
 * @since 0.1.0
 */
import type * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Spend } from "@baton/core/Safety"
import type { Task } from "@baton/core/Task"
import type * as Schema from "effect/Schema"
import * as Command from "../command/Command.ts"
import { excerpt, wholeWords } from "../command/internal/output.ts"
import { environment, reasonFor } from "../command/internal/taskProgram.ts"
import * as Program from "../command/Program.ts"
import type { ProgramError } from "../command/ProgramError.ts"
import { whileReporting } from "../internal/partialOutput.ts"
import { agentPrompt } from "../internal/prompts/attempt.ts"
import { executionOf } from "./internal/execution.ts"
import { readSession, usageOf } from "./internal/session.ts"
import * as Sessions from "./internal/sessions.ts"

/**
 * How to run Claude Code.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Program.Settings, "cwd" | "env" | "idleTimeout" | "timeout"> {
  /** The program, by name or path. Default `claude`. */
  readonly program?: string | undefined
  /** A model's id or alias. Default: the one in Claude Code's configuration. */
  readonly model?: string | undefined
  /** The uses allowed without permission: `acceptEdits`, `auto`, `bypassPermissions`, `dontAsk`, `manual`, `plan`. A use that needs permission is denied, because no person can give it. */
  readonly permissionMode?: string | undefined
  /** Tools that need no permission, such as `Edit` or `Bash(npm test *)`. */
  readonly allowedTools?: ReadonlyArray<string> | undefined
  readonly disallowedTools?: ReadonlyArray<string> | undefined
  /** The most turns of a session. Default no limit. */
  readonly maxTurns?: number | undefined
  /** The cost in USD at which a session ends; it may cost up to one turn more. Default no limit. */
  readonly maxBudgetUsd?: number | undefined
  /** Added to Claude Code's system prompt. */
  readonly appendSystemPrompt?: string | undefined
  /** A JSON Schema that the output has to match. */
  readonly jsonSchema?: Schema.JsonObject | undefined
  /** Ignores hooks, plugins, `CLAUDE.md` and stored logins; the key has to be in `ANTHROPIC_API_KEY`. When such a session is cut off in the middle of an answer, its cost is unknown. */
  readonly bare?: boolean | undefined
  /** Further arguments, before all others. With `--session-id`, `--resume`, `--continue` or `--no-session-persistence`, an attempt does not continue the session of one whose worker died. */
  readonly args?: ReadonlyArray<string> | undefined
  /** The longest wait for a usage limit within an attempt; one that lasts longer pauses the queue. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * An executor that runs Claude Code.
 *
 * **Example**
 *
 * ```ts
 * import { ClaudeCodeExecutor } from "@baton/adapters/claude-code"
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const executor = ClaudeCodeExecutor.layer({
 *   permissionMode: "acceptEdits",
 *   allowedTools: ["Bash(npm test *)"],
 *   maxBudgetUsd: 0.5,
 *   timeout: "10 minutes"
 * }).pipe(Layer.provide(NodeServices.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Executor, never, ChildProcessSpawner | FileSystem.FileSystem> => Layer.effect(Executor, make(options))

// On SIGINT it reports its cost; the other signals are for a session that does not react.
const stop = [
  { signal: "SIGINT", grace: Duration.seconds(5) },
  { signal: "SIGTERM", grace: Duration.seconds(5) }
] as const

const stderrTailBytes = 4096

const make = Effect.fnUntraced(function* (options: Options) {
  const spawner = yield* ChildProcessSpawner
  const fs = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const program = options.program ?? "claude"
  const keepsSessions = !Sessions.choosesSession(options.args ?? [])
  const commandFor = ({ overrides: { model, system } }: Task, beginning: Sessions.Beginning) =>
    Command.make(
      program,
      argumentsOf({
        ...options,
        model: model ?? options.model,
        appendSystemPrompt: system ?? options.appendSystemPrompt,
        beginning
      })
    )
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? Duration.minutes(5))
  const { learn, worstCase } = reservations(options.maxBudgetUsd)
  /** The sessions of attempts whose call is repeated within the attempt. */
  const repeated = new Set<string>()

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const env = yield* Effect.mapError(environment(fs, task, context, {}), notPrepared)
    const prompt = agentPrompt(task.description, context.previous)
    let beginning = keepsSessions ? yield* Sessions.beginning(task, context) : Sessions.unnamed
    const { id } = beginning
    // The attempt repeats a call that failed, whose session has this id.
    if (id !== undefined && repeated.delete(id)) beginning = Sessions.unnamed
    let reading = readSession()
    let stderr = excerpt(0, stderrTailBytes)

    const start = Effect.suspend(() => {
      reading = readSession()
      stderr = excerpt(0, stderrTailBytes)
      return Program.run(spawner, {
        command: commandFor(task, beginning),
        cwd: options.cwd,
        env: { ...options.env, ...env },
        // The run stops a task with its own timeout.
        timeout: task.overrides.executionTimeoutMillis === undefined ? options.timeout : undefined,
        idleTimeout: options.idleTimeout,
        stdin: beginning.resumes === undefined ? prompt : Sessions.resumePrompt(prompt),
        stdout: reading.push,
        stderr: stderr.push,
        stop
      }).pipe(
        whileReporting(context, () => reading.session.lastText),
        Effect.ensuring(Effect.sync(reading.end)),
        Effect.mapError(notRun(program))
      )
    })

    const exit = yield* context.spend<Program.ProgramExit, ExecutionError, never>({
      worstCase: worstCase(),
      call: Effect.flatMap(start, (exit) => {
        const isUnknown =
          beginning.resumes !== undefined &&
          reading.session.sessionId === null &&
          Sessions.isUnknownSession(wholeWords(stderr.text()))
        if (!isUnknown) return Effect.succeed(exit)
        beginning = { ...beginning, resumes: undefined }
        return start
      }),
      // Read from the session, because an interrupted one may have reported its cost.
      spent: (exit) => {
        const { session } = reading
        const started = session.sessionId !== null || Exit.isSuccess(exit) || Cause.hasInterrupts(exit.cause)
        const usage = started ? usageOf(session) : Usage.zero
        learn(usage)
        return usage
      }
    })
    const result: Execution.Execution | ExecutionError = executionOf(
      {
        exit,
        session: reading.session,
        resumedFrom: beginning.resumes,
        stderrTail: wholeWords(stderr.text()),
        now: clock.currentTimeMillisUnsafe(),
        maxRetryAfter,
        isOwnModel: task.overrides.model !== undefined
      },
      options
    )
    if (!(result instanceof ExecutionError)) return result
    if (id !== undefined && result.reason === "Transient") repeated.add(id)
    return yield* result
  }, Effect.scoped)

  return { execute }
})

const notRun = (program: string) => (error: ProgramError) =>
  new ExecutionError({
    reason: reasonFor(error),
    message:
      error.reason === "NotFound"
        ? `Claude Code was not found: the program "${program}" does not exist. Install it (npm install -g @anthropic-ai/claude-code), or add its directory to PATH.`
        : error.message,
    cause: error
  })

const notPrepared = (cause: unknown) =>
  new ExecutionError({
    reason: "Failed",
    message: "The temporary file with the task's metadata for Claude Code was not written.",
    cause
  })

/**
 * The arguments of `claude`. Flags with any number of values come first, each followed by another flag. The flags that this
 * executor depends on come last, where they override `args`.
 */
const argumentsOf = (options: Options & { readonly beginning: Sessions.Beginning }): ReadonlyArray<string> => {
  const { allowedTools = [], args = [], disallowedTools = [], jsonSchema, maxBudgetUsd, maxTurns } = options
  return [
    ...args,
    ...(allowedTools.length === 0 ? [] : ["--allowedTools", ...allowedTools]),
    ...(disallowedTools.length === 0 ? [] : ["--disallowedTools", ...disallowedTools]),
    ...valued("--model", options.model),
    ...valued("--permission-mode", options.permissionMode),
    ...valued("--append-system-prompt", options.appendSystemPrompt),
    ...valued("--json-schema", jsonSchema === undefined ? undefined : JSON.stringify(jsonSchema)),
    ...valued("--max-turns", maxTurns?.toString()),
    ...valued("--max-budget-usd", maxBudgetUsd === undefined ? undefined : decimal(maxBudgetUsd)),
    ...(options.bare === true ? ["--bare"] : []),
    ...Sessions.flagsOf(options.beginning),
    "-p",
    "--output-format",
    "stream-json",
    "--verbose"
  ]
}

const valued = (flag: string, value: string | undefined) => (value === undefined ? [] : [flag, value])

/** Without an exponent, which not every number parser accepts. */
const decimal = (amount: number) => amount.toFixed(9).replace(/\.?0+$/, "")

/** The share of the limit that is reserved in addition, until a session exceeds it. */
const margin = 0.5

/**
 * The reservation for a session. Claude Code checks its limit after each turn, so the cost of the last turn, and of the
 * subagents that run at that moment, comes on top. It depends on the work: half of the limit is reserved for it, or the largest
 * excess of a session of this executor.
 */
const reservations = (maxBudgetUsd: number | undefined) => {
  if (maxBudgetUsd === undefined) {
    const unknown: Spend = { costUsd: null, tokens: 0, what: 'Claude Code without "maxBudgetUsd"' }
    return { worstCase: () => unknown, learn: () => {} }
  }
  let over = maxBudgetUsd * margin
  return {
    worstCase: (): Spend => ({ costUsd: maxBudgetUsd + over, tokens: 0, what: "Claude Code" }),
    learn: (usage: Usage.Usage | undefined) => {
      if (usage !== undefined) over = Math.max(over, (usage.costUsd ?? 0) - maxBudgetUsd)
    }
  }
}
