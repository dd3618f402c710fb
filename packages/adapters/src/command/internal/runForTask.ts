import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Task } from "@baton/core/Task"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Command } from "../Command.ts"
import * as Program from "../Program.ts"
import { ProgramError } from "../ProgramError.ts"
import { environment } from "./environment.ts"

interface Input extends Pick<Program.Options, "stderr" | "stdin" | "stdout"> {
  /** Variables of any length; see `environment`. */
  readonly texts: Readonly<Record<string, string | null>>
}

/** What executor and verifier share: their program, run for one attempt at one task. */
export const runForTask = Effect.fnUntraced(function* (
  options: Program.Settings & { readonly killGrace?: Duration.Input | undefined }
) {
  const spawner = yield* ChildProcessSpawner
  const fs = yield* FileSystem.FileSystem
  const tool = nameOf(options.command)
  const attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": tool,
    "gen_ai.tool.type": "extension"
  }
  const stop = [{ signal: "SIGTERM", grace: options.killGrace ?? Duration.seconds(5) }] as const

  return Effect.fnUntraced(function* (task: Task, context: AttemptContext, { texts, ...input }: Input) {
    const env = yield* Effect.mapError(environment(fs, task, context, texts), notPrepared)
    return yield* Program.run(spawner, { ...options, ...input, env: { ...options.env, ...env }, stop }).pipe(
      Effect.tap(({ by, exitCode, signal }) =>
        Effect.annotateCurrentSpan({ "process.exit.code": exitCode, "baton.ended_by": signal ?? by })
      ),
      Effect.withSpan(`execute_tool ${tool}`, { attributes }, { captureStackTrace: false })
    )
  }, Effect.scoped)
})

/** The program by its name alone: an argument can hold anything, a key as well. */
const nameOf = (command: Command): string =>
  command._tag === "Shell" ? "sh" : command.program.slice(command.program.lastIndexOf("/") + 1)

/** What a program that could not be run means to the run as a whole. */
export const reasonFor = (error: ProgramError): "Failed" | "Fatal" | "Transient" => {
  switch (error.reason) {
    case "NotFound":
    case "NotExecutable":
    case "BadDirectory":
      return "Fatal"
    case "Busy":
      return "Transient"
    // It may concern this one task, which must not stop all others.
    case "Unknown":
      return "Failed"
  }
}

const notPrepared = (cause: unknown) =>
  new ProgramError({ reason: "Unknown", message: "The temporary file for the command's input was not written.", cause })
