/**
 * An executor that runs a program for each attempt: `claude -p`, a script, anything that reads and prints text.
 *
 * The program gets the task's description on standard input, without an added line break. (A shell's `read` drops a last line
 * without one: `while read -r line || [ -n "$line" ]`.) The environment has the rest:
 *
 * | variable | |
 * |---|---|
 * | `BATON_TASK_ID` | the id of the task |
 * | `BATON_ATTEMPT` | 1 for the first attempt |
 * | `BATON_IDEMPOTENCY_KEY` | the same whenever this attempt of this task is run again |
 * | `BATON_FEEDBACK` | why the previous attempt failed, empty on the first; beyond 100 KiB, its middle is omitted |
 * | `BATON_METADATA` | the metadata of the task, as JSON |
 * | `BATON_PREVIOUS_OUTPUT` | the output of the previous attempt; not set on the first |
 * | `BATON_DEPENDENCIES` | a temporary file with the outputs of the tasks in `dependsOn`, as JSON: `[{ "id": ..., "output": ... }]`; not set without dependencies |
 * | `BATON_PROGRESS` | a file to write progress to: the last line is shown, and `0.4` or `40%` is a fraction |
 *
 * Metadata or a previous output of more than 100 KiB, too much for an environment, is in a temporary file instead: its
 * path is in `BATON_METADATA_FILE` or `BATON_PREVIOUS_OUTPUT_FILE`, and the variable itself is not set. NUL characters are
 * removed from variables, but not from standard input and files.
 *
 * The program's standard output is the output of the attempt, read as UTF-8 (invalid bytes become U+FFFD), without its final
 * line break. Exit code 0 is success. While it runs, the end of what it has printed so far, to standard output and standard
 * error, is reported as the progress of the attempt. The attempt's metadata has `exitCode`, `signal`,
 * `durationMillis` and `stderrTail`, the last 4 KiB of standard error, whether it succeeded or not.
 *
 * | what happens | error |
 * |---|---|
 * | exit code 75 (`EX_TEMPFAIL` of `sysexits.h`) | `Transient`: it is run again within the attempt |
 * | exit code 75 and a line such as `retry at 2026-11-30T18:00:00Z` or `retry after 3600` (seconds) at the end of standard error or output | `RateLimited`: the queue is paused until then, and the attempt does not count |
 * | an exit code of `permanentExitCodes` | `Permanent` |
 * | another exit code, or killed by a signal | `Failed`, with the last lines of standard error |
 * | more output than `maxOutputBytes` | `Failed`; the program is stopped |
 * | `timeout` or `idleTimeout` is over | `TimedOut`; the program is stopped |
 * | not found, not executable, no such working directory | `Fatal` |
 * | no process, memory or file handle left on this machine | `Transient` |
 *
 * A program runs in its own process group and session, and all processes of the group end with it: see `Program`. If this
 * process is killed with `kill -9`, its programs run until they end or write to their closed output.
 *
 * @since 0.1.0
 */
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type { Spend } from "@baton/core/Safety"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { excerpt, formatBytes, lastLines, shorten, whole, wholeWords } from "./internal/output.ts"
import { whileReporting } from "../internal/partialOutput.ts"
import { exitSentence, reasonFor, retryTimeOf, runForTask, temporaryFailure } from "./internal/taskProgram.ts"
import type * as Program from "./Program.ts"
import type { ProgramError } from "./ProgramError.ts"

/**
 * How the executor runs its program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Program.Settings {
  /** How long a stopped program may take to end after SIGTERM, before SIGKILL. Default 5 seconds. */
  readonly killGrace?: Duration.Input | undefined
  /** The most bytes that a program may print to stdout. Default 10 MiB. */
  readonly maxOutputBytes?: number | undefined
  /** The exit codes for failures that another attempt cannot repair, such as 65 (`EX_DATAERR`). Default: none. */
  readonly permanentExitCodes?: ReadonlyArray<number> | undefined
  /** Reads the output from the standard output of a successful attempt. Null when it is not there: the attempt fails. */
  readonly outputFrom?: ((stdout: string) => string | null) | undefined
  /** Reads the cost of the attempt from standard output, in USD; null when it is not there. Without this, nothing is metered. */
  readonly costFrom?: ((stdout: string) => number | null) | undefined
  /**
   * The most that an attempt can cost, in USD. Budgets reserve it before the program starts, and charge it when the cost is
   * unknown. A budget in USD refuses the first attempt without it.
   */
  readonly maxCostUsd?: number | undefined
}

/**
 * The default of `maxOutputBytes`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxOutputBytes = 10 * 1024 * 1024

/**
 * An executor that runs a program.
 *
 * **Example**
 *
 * ```ts
 * import { Command, CommandExecutor } from "@baton/adapters/command"
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const executor = CommandExecutor.layer({
 *   command: Command.make("claude", ["-p"]),
 *   timeout: "10 minutes"
 * }).pipe(Layer.provide(NodeServices.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Executor, never, ChildProcessSpawner | FileSystem.FileSystem> =>
  Layer.effect(Executor, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const run = yield* runForTask(options)
  const { costFrom, maxCostUsd, outputFrom = identity } = options
  const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes
  const worstCase: Spend = { costUsd: maxCostUsd ?? null, tokens: 0, what: "an attempt of the command" }

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const stdout = whole(maxOutputBytes)
    const stderr = excerpt(0, stderrTailBytes)
    const partial = excerpt(0, partialOutputBytes)
    const call = Effect.mapError(
      run(task, context, {
        stdin: task.description,
        stdout: (chunk) => partial.push(chunk) && stdout.push(chunk),
        stderr: (chunk) => partial.push(chunk) && stderr.push(chunk),
        // The run stops a task with its own timeout.
        ...(task.overrides.executionTimeoutMillis === undefined ? undefined : { timeout: undefined }),
        texts: { BATON_PREVIOUS_OUTPUT: context.previous?.output ?? null }
      }).pipe(whileReporting(context, partial.text)),
      notRun
    )
    let usage: Usage.Usage | undefined
    const exit =
      costFrom === undefined
        ? yield* call
        : yield* context.spend({
            worstCase,
            call,
            spent: (exit) => (usage = usageOf(exit, () => costFrom(stdout.text())))
          })
    const { durationMillis, endedBy, exitCode, signal } = exit
    const printed = stdout.text()
    const stderrTail = wholeWords(stderr.text())
    const metadata = { exitCode, signal, durationMillis, stderrTail }
    const isSuccess = endedBy === "itself" && exitCode === 0
    const output = isSuccess ? outputFrom(printed) : printed
    if (isSuccess && output !== null) {
      return Execution.make({ output: output.replace(/\r?\n$/, ""), metadata, usage })
    }
    const retryAt = isSuccess ? undefined : retryTimeOf(exit, [stderrTail, printed], yield* Clock.currentTimeMillis)
    return yield* new ExecutionError({
      reason: isSuccess ? "Failed" : retryAt === undefined ? endReason(options, exit) : "RateLimited",
      ...(retryAt === undefined ? undefined : { retryAt }),
      message:
        (isSuccess ? "The command printed no result" : endSentence(options, maxOutputBytes, exit)) +
        lastLines(stderrTail.trim() === "" ? printed : stderrTail),
      output: shorten(printed, failedOutputBytes),
      metadata,
      ...(usage === undefined ? undefined : { usage })
    })
  })

  return { execute }
})

/** The cost that a program reported. A program that was stopped has not reported all of it. */
const usageOf = (
  exit: Exit.Exit<Program.ProgramExit, ExecutionError>,
  cost: () => number | null
): Usage.Usage | undefined => {
  if (Exit.isFailure(exit)) return Cause.hasInterrupts(exit.cause) ? undefined : Usage.zero
  const costUsd = exit.value.endedBy === "itself" ? cost() : null
  return costUsd === null ? undefined : { ...Usage.zero, costUsd }
}

const stderrTailBytes = 4096

/** More than is published of the output of a running program, for the secrets in it to be recognised. */
const partialOutputBytes = 8192

// A person reads a failed attempt's output, and nothing uses it, so the ledger does not keep 10 MiB of it.
const failedOutputBytes = 64 * 1024

const endReason = (options: Options, { endedBy, exitCode }: Program.ProgramExit): ExecutionError["reason"] => {
  if (endedBy === "timeout" || endedBy === "idleTimeout") return "TimedOut"
  if (endedBy === "outputLimit" || exitCode === null) return "Failed"
  if (options.permanentExitCodes?.includes(exitCode) === true) return "Permanent"
  return exitCode === temporaryFailure ? "Transient" : "Failed"
}

const endSentence = (options: Options, maxOutputBytes: number, exit: Program.ProgramExit): string =>
  exit.endedBy === "outputLimit"
    ? `The command printed more than the limit of ${formatBytes(maxOutputBytes)} and was stopped`
    : exitSentence("The command", options, exit)

const notRun = (error: ProgramError) =>
  new ExecutionError({ reason: reasonFor(error), message: error.message, cause: error })
