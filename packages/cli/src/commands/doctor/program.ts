/**
 * Programs that a run starts.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"

/**
 * Whether the program of a command line is there and may be run.
 *
 * @category running
 * @since 0.1.0
 */
export const program = Effect.fnUntraced(function* (by: string, commandLine: string) {
  const { Command } = yield* Effect.promise(() => import("@baton/adapters/command"))
  const parsed = Command.parse(commandLine)
  if (Result.isFailure(parsed)) return Diagnosis.fail(by, parsed.failure.message, "Correct the command line.")
  const name = parsed.success._tag === "Shell" ? "sh" : parsed.success.program
  const found = yield* locate(name)
  if (found !== undefined) return Diagnosis.ok(by, `${name} is ${found === name ? "there" : found}.`)
  return Diagnosis.fail(
    by,
    `There is no program ${name}${name.includes("/") ? "" : " on the PATH"}, or it may not be run.`,
    name === "claude"
      ? "Install Claude Code: npm install -g @anthropic-ai/claude-code"
      : name.includes("/")
        ? `Correct the path, or make the file executable: chmod +x ${name}`
        : "Install it, or give its path."
  )
})

/**
 * Whether there is a shell for `--shell`.
 *
 * @category running
 * @since 0.1.0
 */
export const shell = (by: string) => program(by, "/bin/sh")

/** Where the system would find a program. */
const locate = Effect.fnUntraced(function* (name: string) {
  const path = yield* Path.Path
  if (name.includes("/")) return (yield* isExecutable(name)) ? name : undefined
  const folders = yield* Effect.orElseSucceed(Config.String("PATH"), () => "")
  for (const folder of folders.split(":")) {
    const file = path.join(folder === "" ? "." : folder, name)
    if (yield* isExecutable(file)) return file
  }
  return undefined
})

const isExecutable = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const status = yield* Effect.option(fs.stat(file))
  return status._tag === "Some" && status.value.type === "File" && (status.value.mode & 0o111) !== 0
})
