/**
 * An executor that runs Claude Code for each attempt: an agent that reads and writes files and runs commands in a working
 * directory, with `claude -p` as its program.
 *
 * The prompt goes to standard input, never into the arguments: the task's description, and after a failed attempt what
 * that brought out and why it was not accepted. A description that begins with `/` names a command of Claude Code, as it
 * does when typed; `args: ["--disable-slash-commands"]` turns that off for lists that others write. In the environment
 * are `BATON_TASK_ID`, `BATON_ATTEMPT`, `BATON_IDEMPOTENCY_KEY`, `BATON_FEEDBACK` and `BATON_METADATA`, for hooks and tools.
 *
 * The output of an attempt is Claude's last answer, or with `jsonSchema` the JSON that it asks for. The attempt's usage has
 * the tokens and the cost of all models that took part; the cost is unknown where Claude Code guessed a price. Its metadata
 * has `sessionId` (for `claude --resume`), `model`, `turns`, `terminalReason`, `permissionDenials` and how the program ended.
 *
 * | how a session ends | error |
 * |---|---|
 * | its turns or its money are used up; an answer without the JSON that was asked for; an empty one; without a result | `Failed` |
 * | `timeout` or `idleTimeout` is over | `TimedOut` |
 * | the API is overloaded or out of reach, after Claude Code has tried for minutes; a usage limit that ends within `maxRetryAfter` | `Transient` |
 * | the model refused; the first request was not valid or too long | `Permanent` |
 * | not logged in, a wrong key, no money, a model or an option that does not exist, a usage limit that lasts longer, no `claude` | `Fatal` |
 *
 * A session that is cut off, by a limit or by interruption, gets SIGINT first, on which Claude Code as a rule tells what it has cost,
 * then SIGTERM and SIGKILL, five seconds apart. Signals go to the whole process group.
 *
 * **Budgets**
 *
 * Under a budget in USD an attempt needs `maxBudgetUsd`; without it, the budget refuses the first attempt. Claude Code
 * compares after each turn, so a session costs up to a turn more than its limit (measured: 0.22 with a limit of 0.15, and
 * 0.10 with one of 0.01). So that the run's budget holds all the same, more is set aside than `maxBudgetUsd`: half as much
 * again, or the most that a session of this executor went over it. This is a margin and no guarantee: a last turn that costs
 * more than that the first time it happens can exceed the budget by the difference. Claude Code has no limit in tokens: a
 * budget in tokens is compared with after each attempt.
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
import type * as Schema from "effect/Schema"
import * as Command from "../command/Command.ts"
import { excerpt, wholeWords } from "../command/internal/collector.ts"
import { environment } from "../command/internal/environment.ts"
import { reasonFor } from "../command/internal/runForTask.ts"
import * as Program from "../command/Program.ts"
import type { ProgramError } from "../command/ProgramError.ts"
import { agentPrompt } from "../internal/prompts/attempt.ts"
import { argumentsOf } from "./internal/arguments.ts"
import { reservations } from "./internal/budget.ts"
import { outcomeOf } from "./internal/outcome.ts"
import { readSession } from "./internal/session.ts"
import { usageOf } from "./internal/usage.ts"

/**
 * How Claude Code is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Program.Settings, "cwd" | "env" | "idleTimeout" | "timeout"> {
  /** The program, by name or path. Default `claude`. */
  readonly program?: string | undefined
  /** A model's id or alias. Default: what Claude Code is configured for. */
  readonly model?: string | undefined
  /** What it may do without being asked: `acceptEdits`, `auto`, `bypassPermissions`, `dontAsk`, `manual`, `plan`. Nobody is there to answer: what would be asked is denied. */
  readonly permissionMode?: string | undefined
  /** Tools that it may use without being asked, such as `Edit` or `Bash(npm test *)`. */
  readonly allowedTools?: ReadonlyArray<string> | undefined
  readonly disallowedTools?: ReadonlyArray<string> | undefined
  /** How many turns a session may take. Default no limit. */
  readonly maxTurns?: number | undefined
  /** USD at which a session is ended; it may cost up to a turn more. Default no limit. */
  readonly maxBudgetUsd?: number | undefined
  /** Added to Claude Code's own system prompt. */
  readonly appendSystemPrompt?: string | undefined
  /** A JSON Schema: the output is then JSON that fits it. */
  readonly jsonSchema?: Schema.JsonObject | undefined
  /** Leaves out hooks, plugins, `CLAUDE.md` and stored logins; the key has to be in `ANTHROPIC_API_KEY`. Cut off in the middle of an answer, such a session does not tell what it cost. */
  readonly bare?: boolean | undefined
  /** Further arguments, in front of all others. */
  readonly args?: ReadonlyArray<string> | undefined
  /** The longest wait for a usage limit to end; one that lasts longer ends the run. Default 5 minutes. */
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

// On SIGINT it tells what it has cost; the others are for one that does not listen.
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
  const command = Command.make(program, argumentsOf(options))
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? Duration.minutes(5))
  const { learn, worstCase } = reservations(options.maxBudgetUsd)

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const env = yield* Effect.mapError(environment(fs, task, context, {}), notPrepared)
    const stderr = excerpt(0, stderrTailBytes)
    const { end, push, session } = readSession()
    const ended = yield* context.spend({
      worstCase: worstCase(),
      call: Program.run(spawner, {
        command,
        cwd: options.cwd,
        env: { ...options.env, ...env },
        timeout: options.timeout,
        idleTimeout: options.idleTimeout,
        stdin: agentPrompt(task.description, context.previous),
        stdout: push,
        stderr: stderr.push,
        stop
      }).pipe(Effect.ensuring(Effect.sync(end)), Effect.mapError(notRun(program))),
      // Not from the exit alone: one that was interrupted may have told what it cost all the same.
      spent: (exit) => {
        const started = session.sessionId !== null || Exit.isSuccess(exit) || Cause.hasInterrupts(exit.cause)
        const usage = started ? usageOf(session) : Usage.zero
        learn(usage)
        return usage
      }
    })
    const outcome: Execution.Execution | ExecutionError = outcomeOf(
      { ended, session, stderrTail: wholeWords(stderr.text()), now: clock.currentTimeMillisUnsafe(), maxRetryAfter },
      options
    )
    return outcome instanceof ExecutionError ? yield* outcome : outcome
  }, Effect.scoped)

  return { execute }
})

const notRun = (program: string) => (error: ProgramError) =>
  new ExecutionError({
    reason: reasonFor(error),
    message:
      error.reason === "NotFound"
        ? `Claude Code is not there: no program "${program}". Install it (npm install -g @anthropic-ai/claude-code), or put its directory into PATH.`
        : error.message,
    cause: error
  })

const notPrepared = (cause: unknown) =>
  new ExecutionError({
    reason: "Failed",
    message: "The temporary file for what Claude Code gets to know of its task was not written.",
    cause
  })
