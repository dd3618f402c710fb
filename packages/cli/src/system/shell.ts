/** The shell for the scripts of `--shell`. */
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"

/** With this option, a pipe fails if any of its commands fails, not only the last one. */
const pipefail = ["-o", "pipefail"] as const

/** The arguments that make such a shell run a script. */
export const scriptArguments = (script: string): ReadonlyArray<string> => [...pipefail, "-c", script]

/** The first shell that has `pipefail`; undefined if there is none. The `/bin/sh` of Debian and Ubuntu (dash) may lack it. */
export const find: Effect.Effect<string | undefined, never, ChildProcessSpawner> = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner
  for (const shell of ["/bin/sh", "bash"]) {
    const options = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const
    const exit = yield* Effect.option(spawner.exitCode(ChildProcess.make(shell, [...pipefail, "-c", ":"], options)))
    if (exit._tag === "Some" && exit.value === 0) return shell
  }
  return undefined
})

/** For a machine without such a shell. */
export const remedy = "Install bash, or use --exec with a program that runs the pipe."
