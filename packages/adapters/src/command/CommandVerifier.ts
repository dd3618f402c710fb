/**
 * A verifier that runs a program: a test suite, a linter, `grep -q`, a second model.
 *
 * The program gets the output to judge on standard input, without an added line break. The environment has the same
 * variables as that of `CommandExecutor`, with the task's description in `BATON_DESCRIPTION` in place of
 * `BATON_PREVIOUS_OUTPUT`. A description of more than 100 KiB is in a temporary file instead, whose path is in
 * `BATON_DESCRIPTION_FILE`.
 *
 * | how the program ends | verdict |
 * |---|---|
 * | exit code 0 | passed |
 * | another exit code | rejected |
 * | exit code 75 (`EX_TEMPFAIL` of `sysexits.h`) | none, `Transient`; `RateLimited` with a line such as `retry at 2026-11-30T18:00:00Z` |
 * | exit code 126, 127, or 129 to 159 | none, `Failed` |
 * | killed by a signal | none, `Failed` |
 * | `timeout` or `idleTimeout` is over | none, `TimedOut` |
 * | not found, not executable, no such working directory | none, `Fatal` |
 * | no process, memory or file handle left on this machine | none, `Transient` |
 *
 * Its output is the feedback: standard output, then standard error, each up to 4 KiB (the beginning and the end of a longer
 * one). Without a verdict, the output to judge is kept, and only the verification is retried.
 *
 * Shells, `env`, `timeout` and containers report the exit codes in the fourth row when a program inside was not found, could
 * not be run or was killed. They mean that the check is broken, not the output: a rejection would execute the task, and pay
 * for it, again. If such a code is a verdict of your check, end its command with `|| exit 1`.
 *
 * @since 0.1.0
 */
import * as Verification from "@baton/core/Verification"
import { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { excerpt, lastLines, wholeWords } from "./internal/output.ts"
import { exitSentence, reasonFor, retryTimeOf, runForTask, temporaryFailure } from "./internal/taskProgram.ts"
import type * as Program from "./Program.ts"
import type { ProgramError } from "./ProgramError.ts"

/**
 * How the verifier runs its program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Program.Settings {
  /** How long a stopped program may take to end after SIGTERM, before SIGKILL. Default 5 seconds. */
  readonly killGrace?: Duration.Input | undefined
}

/**
 * A verifier that runs a program.
 *
 * **Example**
 *
 * ```ts
 * import { Command, CommandVerifier } from "@baton/adapters/command"
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const verifier = CommandVerifier.layer({
 *   command: Command.shell(`jq -e '.title | length > 0'`),
 *   timeout: "1 minute"
 * }).pipe(Layer.provide(NodeServices.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Verifier, never, ChildProcessSpawner | FileSystem.FileSystem> =>
  Layer.effect(Verifier, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const run = yield* runForTask(options)

  const verify: VerifierService["verify"] = Effect.fnUntraced(function* (task, execution, context) {
    const stdout = excerpt(1024, 3072)
    const stderr = excerpt(1024, 3072)
    const exit = yield* Effect.mapError(
      run(task, context, {
        stdin: execution.output,
        stdout: stdout.push,
        stderr: stderr.push,
        texts: { BATON_DESCRIPTION: task.description }
      }),
      notRun
    )
    const printed = [stdout, stderr]
      .map(({ text }) => wholeWords(text()).trimEnd())
      .filter(Boolean)
      .join("\n")
    if (exit.endedBy !== "itself" || !isVerdict(exit.exitCode)) {
      const retryAt = retryTimeOf(exit, [printed], yield* Clock.currentTimeMillis)
      return yield* new VerificationError({
        reason: retryAt === undefined ? failureReason(exit) : "RateLimited",
        ...(retryAt === undefined ? undefined : { retryAt }),
        message: exitSentence("The verifier", options, exit) + lastLines(printed)
      })
    }
    if (exit.exitCode === 0) return Verification.pass({ feedback: printed })
    return Verification.reject(printed || `The verifier exited with code ${exit.exitCode} and printed nothing.`)
  })

  return { verify, kind: "effectful" as const }
})

const failureReason = ({ endedBy, exitCode }: Program.ProgramExit): VerificationError["reason"] => {
  if (endedBy !== "itself") return "TimedOut"
  return exitCode === temporaryFailure ? "Transient" : "Failed"
}

const isVerdict = (exitCode: number | null): boolean =>
  exitCode !== null &&
  exitCode !== temporaryFailure &&
  exitCode !== 126 &&
  exitCode !== 127 &&
  (exitCode < 129 || exitCode > 159)

const notRun = (error: ProgramError) =>
  new VerificationError({ reason: reasonFor(error), message: error.message, cause: error })
