/** The shell for the scripts of `--shell`. */
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"

/** A shell, and its arguments before a script. */
export interface Shell {
  readonly program: string
  readonly args: ReadonlyArray<string>
}

/** With this option, a pipe fails if any of its commands fails, not only the last one. */
const pipefail = ["-o", "pipefail", "-c"] as const

const shells: ReadonlyArray<Shell> = [
  { program: "/bin/sh", args: pipefail },
  // Without --norc, bash reads ~/.bashrc if its standard input is a socket, as that of the programs of Node is.
  { program: "bash", args: ["--norc", ...pipefail] }
]

/** The first shell that has `pipefail`; undefined if there is none. The `/bin/sh` of Debian and Ubuntu (dash) may lack it. */
export const find: Effect.Effect<Shell | undefined, never, ChildProcessSpawner> = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner
  const options = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const
  for (const shell of shells) {
    const exit = yield* Effect.option(spawner.exitCode(ChildProcess.make(shell.program, [...shell.args, ":"], options)))
    if (exit._tag === "Some" && exit.value === 0) return shell
  }
  return undefined
})

/** For a machine without such a shell. */
export const remedy = "Install bash, or use --exec with a program that runs the pipe."
