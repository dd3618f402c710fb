import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Task } from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { lookInterval } from "../../internal/partialOutput.ts"
import { retryTimeIn } from "../../internal/retryTime.ts"
import type { Command } from "../Command.ts"
import * as Program from "../Program.ts"
import { ProgramError } from "../ProgramError.ts"
import { shorten } from "./output.ts"

interface Input extends Pick<Program.Options, "stderr" | "stdin" | "stdout" | "timeout"> {
  /** Variables of any length; see `environment`. */
  readonly texts: Readonly<Record<string, string | null>>
}

/** Runs a program for one attempt of one task, for the executor and the verifier. */
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
      Effect.tap(({ endedBy, exitCode, signal }) =>
        Effect.annotateCurrentSpan({ "process.exit.code": exitCode, "baton.ended_by": signal ?? endedBy })
      ),
      Effect.withSpan(`execute_tool ${tool}`, { attributes }, { captureStackTrace: false })
    )
  }, Effect.scoped)
})

/** The program's name without its arguments, which can contain a key. */
const nameOf = (command: Command): string =>
  command._tag === "Shell" ? "sh" : command.program.slice(command.program.lastIndexOf("/") + 1)

const notPrepared = (cause: unknown) =>
  new ProgramError({ reason: "Unknown", message: "The temporary file for the command's input was not written.", cause })

// Linux allows at most 128 KiB for one variable, name included; macOS 1 MiB for all variables and arguments together.
const variableLimit = 100 * 1024

/**
 * The environment variables that describe a task and its attempt to a program. A null removes a variable that this process
 * has in its own environment. `texts` are further variables whose values may be of any length.
 */
export const environment = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  task: Task,
  context: AttemptContext,
  texts: Readonly<Record<string, string | null>>
): Effect.fn.Return<Record<string, string | undefined>, PlatformError, Scope.Scope> {
  const env: Record<string, string | undefined> = {
    BATON_TASK_ID: short(task.id),
    BATON_ATTEMPT: String(context.attempt),
    BATON_IDEMPOTENCY_KEY: short(context.idempotencyKey),
    BATON_FEEDBACK: short(context.previous?.feedback ?? "")
  }
  for (const [name, text] of Object.entries({ BATON_METADATA: JSON.stringify(task.metadata), ...texts })) {
    env[name] = undefined
    env[`${name}_FILE`] = undefined
    if (text === null) continue
    if (fits(text)) {
      env[name] = withoutNul(text)
      continue
    }
    const file = yield* fs.makeTempFileScoped({ prefix: "baton-" })
    yield* fs.writeFileString(file, text)
    env[`${name}_FILE`] = file
  }
  env["BATON_PROGRESS"] = yield* progressFile(fs, context)
  env["BATON_DEPENDENCIES"] = undefined
  if (task.dependsOn.length > 0) {
    const file = yield* fs.makeTempFileScoped({ prefix: "baton-" })
    yield* fs.writeFileString(file, JSON.stringify(yield* context.dependencies))
    env["BATON_DEPENDENCIES"] = file
  }
  return env
})

const progressTailBytes = 4096

/** A file to which a program writes its progress: the last line counts. */
const progressFile = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  { progress }: AttemptContext
): Effect.fn.Return<string, PlatformError, Scope.Scope> {
  const file = yield* fs.makeTempFileScoped({ prefix: "baton-" })
  let seen = ""
  const look = Effect.gen(function* () {
    const { mtime, size } = yield* fs.stat(file)
    const version = `${size} ${Option.getOrUndefined(mtime)?.getTime()}`
    if (version === seen || size === 0n) return
    seen = version
    const offset = size > progressTailBytes ? size - BigInt(progressTailBytes) : 0n
    const tail = yield* Stream.mkString(Stream.decodeText(fs.stream(file, { offset })))
    const line = lastLine(tail)
    if (line !== undefined) yield* progress(readProgress(line))
  })
  // The program can do anything with its file, and may have deleted it.
  const watch = Effect.forever(Effect.andThen(Effect.sleep(lookInterval), Effect.ignore(look)))
  yield* Effect.forkScoped(watch)
  return file
})

/** The last line that is complete and not blank. */
const lastLine = (text: string): string | undefined =>
  text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split(/\r?\n/)
    .findLast((line) => line.trim() !== "")
    ?.trim()

/** `0.25` and `25%` are fractions; any other line is text. */
export const readProgress = (line: string): string | number => {
  const [, percent] = /^(\d+(?:\.\d+)?)\s*%$/.exec(line) ?? []
  if (percent !== undefined) return Number(percent) / 100
  return /^(?:0?\.\d+|[01](?:\.\d+)?)$/.test(line) ? Number(line) : line
}

// A variable ends at its first NUL, and Node refuses to start a program with one.
const withoutNul = (text: string) => text.replaceAll("\0", "")

const short = (text: string) => shorten(withoutNul(text), variableLimit)

const fits = (text: string) =>
  text.length * 3 <= variableLimit || new TextEncoder().encode(text).length <= variableLimit

/** The reason of an execution or verification error for a program that could not be run. */
export const reasonFor = (error: ProgramError): "Failed" | "Fatal" | "Transient" => {
  switch (error.reason) {
    case "NotFound":
    case "NotExecutable":
    case "BadDirectory":
      return "Fatal"
    case "Busy":
      return "Transient"
    // The cause may be this task alone, which must not stop the others.
    case "Unknown":
      return "Failed"
  }
}

/** `EX_TEMPFAIL`: the convention of `sysexits.h` for a failure that goes away by itself. */
export const temporaryFailure = 75

/**
 * When a program that failed temporarily may be run again, from the end of its output; undefined when it says nothing
 * about that.
 */
export const retryTimeOf = (
  { endedBy, exitCode }: Program.ProgramExit,
  printed: ReadonlyArray<string>,
  now: number
): DateTime.Utc | undefined => {
  if (endedBy !== "itself" || exitCode !== temporaryFailure) return undefined
  const time = printed.map((text) => retryTimeIn(text.slice(-retryTimeCharacters), now)).find(Predicate.isNotNull)
  return time === undefined ? undefined : DateTime.makeUnsafe(time)
}

const retryTimeCharacters = 4096

/** How a program ended, without a full stop, so that its output can follow. */
export const exitSentence = (
  subject: string,
  options: Pick<Program.Options, "idleTimeout" | "timeout">,
  { endedBy, exitCode, signal }: Program.ProgramExit
): string => {
  switch (endedBy) {
    case "timeout":
      return `${subject} took longer than ${format(options.timeout)} and was stopped`
    case "idleTimeout":
      return `${subject} printed nothing for ${format(options.idleTimeout)} and was stopped`
    default:
      return signal === null
        ? `${subject} exited with code ${exitCode}${hints.get(exitCode) ?? ""}`
        : `${subject} was killed by ${signal}`
  }
}

// The meaning that shells, `env`, `nice` and similar programs give to these codes.
const hints = new Map<number | null, string>([
  [temporaryFailure, " (a temporary failure)"],
  [126, " (not executable)"],
  [127, " (not found)"]
])

const format = (input: Duration.Input | undefined) => Duration.format(Duration.fromInputUnsafe(input ?? 0))
