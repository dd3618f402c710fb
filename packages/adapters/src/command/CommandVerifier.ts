/**
 * A verifier that runs a program: a test suite, a linter, `grep -q`, a second model.
 *
 * The program gets the output to judge on standard input, byte for byte and without a line break added. The environment
 * has the same variables as that of `CommandExecutor`, with `BATON_DESCRIPTION` in place of `BATON_PREVIOUS_OUTPUT`: what
 * was asked for. A description of more than 100 KiB is in a temporary file instead, whose path is in
 * `BATON_DESCRIPTION_FILE`.
 *
 * | how the program ends | verdict |
 * |---|---|
 * | exit code 0 | passed |
 * | another exit code | rejected |
 * | exit code 126, 127, or 129 to 159 | none, `Failed` |
 * | killed by a signal | none, `Failed` |
 * | `timeout` or `idleTimeout` is over | none, `TimedOut` |
 * | not found, not executable, no such working directory | none, `Fatal` |
 * | no process, memory or file handle left on this machine | none, `Transient` |
 *
 * What it prints is the feedback: standard output, then standard error, of each 4 KiB at most (the beginning and the end
 * of what is longer). Where there is no verdict the output is kept, and only verification is tried again.
 *
 * The exit codes in the third row are what shells, `env`, `timeout` and containers report when a program inside was not
 * found, could not be run or was killed. They say that the check is broken, not that the output is: rejecting would have
 * it made, and paid for, again. A check for which such a code is a verdict ends in `|| exit 1`.
 *
 * @since 0.1.0
 */
import * as Verification from "@baton/core/Verification"
import { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { excerpt, wholeWords } from "./internal/collector.ts"
import { reasonFor, runForTask } from "./internal/runForTask.ts"
import { exitSentence, lastLines } from "./internal/sentences.ts"
import type * as Program from "./Program.ts"
import type { ProgramError } from "./ProgramError.ts"

/**
 * How the verifier runs its program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Program.Settings {
  /** How long a program that is stopped may take after SIGTERM, before SIGKILL. Default 5 seconds. */
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
    const ended = yield* Effect.mapError(
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
    if (ended.by !== "itself" || !isVerdict(ended.exitCode)) {
      return yield* new VerificationError({
        reason: ended.by === "itself" ? "Failed" : "TimedOut",
        message: exitSentence("The verifier", options, ended) + lastLines(printed)
      })
    }
    if (ended.exitCode === 0) return Verification.pass({ feedback: printed })
    return Verification.reject(printed || `The verifier exited with code ${ended.exitCode} and printed nothing.`)
  })

  return { verify, kind: "effectful" as const }
})

const isVerdict = (exitCode: number | null): boolean =>
  exitCode !== null && exitCode !== 126 && exitCode !== 127 && (exitCode < 129 || exitCode > 159)

const notRun = (error: ProgramError) =>
  new VerificationError({ reason: reasonFor(error), message: error.message, cause: error })
