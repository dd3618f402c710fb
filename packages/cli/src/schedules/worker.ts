/** `baton schedule run`: runs the commands of schedules as programs. */
import { ExecutionError } from "@baton/core/ExecutionError"
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { hostname } from "node:os"
import * as scheduler from "./scheduler.ts"
import { StoreUrl } from "../settings/flags.ts"
import { variableName } from "../settings/settings.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as childGroups from "../system/process.ts"

/** How long a command may take to end after a signal: it drains. */
const drain = "1 minute"

/** Runs the commands that are due, and waits for the next ones. */
export const run = Effect.gen(function* () {
  const url = yield* StoreUrl
  const runCommand: scheduler.RunCommand<ChildProcessSpawner> = (_, args) =>
    Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* ChildProcess.make(process.execPath, [...process.execArgv, program, ...args], {
          // A password in the URL of the store is not part of a command line.
          env: { [variableName("store")]: url },
          extendEnv: true,
          stdin: "ignore",
          stdout: "inherit",
          stderr: "inherit",
          forceKillAfter: drain
        })
        return Number(yield* handle.exitCode)
      })
    ).pipe(Effect.mapError(({ message }) => new ExecutionError({ reason: "Failed", message })))
  const program = process.argv[1] ?? ""
  if (url.startsWith("memory:")) {
    return yield* new CommandFailed({
      message: "A store in memory keeps no schedules. Choose another store with --store."
    })
  }
  yield* Effect.logInfo("Waiting for the ticks of the schedules; stop with Ctrl-C")
  return yield* scheduler.run({ owner: `${hostname()}/${process.pid}`, runCommand })
}).pipe(Effect.provide(childGroups.layer))
