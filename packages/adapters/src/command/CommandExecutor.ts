/**
 * An executor that runs a program for each attempt: `claude -p`, a script, anything that reads and prints text.
 *
 * The program gets the task's description on standard input, byte for byte and without a line break added. (A shell's
 * `read` drops a last line without one: `while read -r line || [ -n "$line" ]`.) The environment tells it the rest:
 *
 * | variable | |
 * |---|---|
 * | `BATON_TASK_ID` | the id of the task |
 * | `BATON_ATTEMPT` | 1 for the first attempt |
 * | `BATON_IDEMPOTENCY_KEY` | the same whenever this attempt of this task is run again |
 * | `BATON_FEEDBACK` | why the last attempt failed, empty on the first; its middle is left out beyond 100 KiB |
 * | `BATON_METADATA` | the metadata of the task, as JSON |
 * | `BATON_PREVIOUS_OUTPUT` | what the last attempt printed; not set on the first |
 *
 * Metadata or a previous output of more than 100 KiB, too much for an environment, is in a temporary file instead: its
 * path is in `BATON_METADATA_FILE` or `BATON_PREVIOUS_OUTPUT_FILE`, and the variable itself is not set. NUL characters
 * are left out of variables; standard input and files have them.
 *
 * What the program prints on standard output is the output of the attempt, read as UTF-8 (invalid bytes become U+FFFD),
 * without the line break at its very end. Exit code 0 is success. The attempt's metadata has `exitCode`, `signal`,
 * `durationMillis` and `stderrTail`, the last 4 KiB of standard error, whether it succeeded or not.
 *
 * | what happens | error |
 * |---|---|
 * | another exit code, or killed by a signal | `Failed`, with the last lines of standard error |
 * | more output than `maxOutputBytes` | `Failed`; the program is stopped |
 * | `timeout` or `idleTimeout` is over | `TimedOut`; the program is stopped |
 * | not found, not executable, no such working directory | `Fatal` |
 * | no process, memory or file handle left on this machine | `Transient` |
 *
 * A program runs in a process group (and session) of its own and leaves nothing behind: see `Program`. When this process
 * itself is killed without warning (`kill -9`), its programs go on until they end or write to their closed output.
 *
 * @since 0.1.0
 */
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { excerpt, shorten, whole, wholeWords } from "./internal/collector.ts"
import { formatBytes } from "./internal/formatBytes.ts"
import { exitSentence, lastLines } from "./internal/sentences.ts"
import { reasonFor, runForTask } from "./internal/runForTask.ts"
import type * as Program from "./Program.ts"
import type { ProgramError } from "./ProgramError.ts"

/**
 * How the executor runs its program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Program.Settings {
  /** How long a program that is stopped may take after SIGTERM, before SIGKILL. Default 5 seconds. */
  readonly killGrace?: Duration.Input | undefined
  /** How many bytes a program may print on stdout. Default 10 MiB. */
  readonly maxOutputBytes?: number | undefined
}

/**
 * The most that is taken of an output where nothing is said, in bytes.
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
  const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const stdout = whole(maxOutputBytes)
    const stderr = excerpt(0, stderrTailBytes)
    const ended = yield* Effect.mapError(
      run(task, context, {
        stdin: task.description,
        stdout: stdout.push,
        stderr: stderr.push,
        texts: { BATON_PREVIOUS_OUTPUT: context.previous?.output ?? null }
      }),
      notRun
    )
    const { by, durationMillis, exitCode, signal } = ended
    const output = stdout.text()
    const stderrTail = wholeWords(stderr.text())
    const metadata = { exitCode, signal, durationMillis, stderrTail }
    if (by === "itself" && exitCode === 0) {
      return Execution.make({ output: output.replace(/\r?\n$/, ""), metadata })
    }
    return yield* new ExecutionError({
      reason: by === "timeout" || by === "idleTimeout" ? "TimedOut" : "Failed",
      message: endSentence(options, maxOutputBytes, ended) + lastLines(stderrTail.trim() === "" ? output : stderrTail),
      output: shorten(output, failedOutputBytes),
      metadata
    })
  })

  return { execute }
})

const stderrTailBytes = 4096

// A failed attempt's output is for reading, not for use: the ledger need not keep 10 MiB of it.
const failedOutputBytes = 64 * 1024

const endSentence = (options: Options, maxOutputBytes: number, ended: Program.Ended): string =>
  ended.by === "outputLimit"
    ? `The command printed more than ${formatBytes(maxOutputBytes)}, the most that is taken, and was stopped`
    : exitSentence("The command", options, ended)

const notRun = (error: ProgramError) =>
  new ExecutionError({ reason: reasonFor(error), message: error.message, cause: error })
