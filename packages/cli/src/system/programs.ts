/** Finds the program of a command line as the system does. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { CommandFailed } from "./CommandFailed.ts"

/** The file of a program; undefined if it does not exist or is not executable. */
export const locate = Effect.fnUntraced(function* (
  name: string
): Effect.fn.Return<string | undefined, never, FileSystem.FileSystem | Path.Path> {
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

/** The message for a program that was not located. */
export const missing = (name: string): string =>
  `The program ${name} was not found${name.includes("/") ? "" : " on the PATH"}, or it is not executable.`

/** What to do about it. */
export const remedy = (name: string): string => {
  if (name === "claude") return "Install Claude Code: npm install -g @anthropic-ai/claude-code"
  return name.includes("/")
    ? `Fix the path, or make the file executable: chmod +x ${name}`
    : "Install it, or use its full path."
}

/** Fails if the program of a flag cannot be located: now instead of when it is first needed, which can be hours later. */
export const check = Effect.fnUntraced(function* (
  by: string,
  name: string
): Effect.fn.Return<void, CommandFailed, FileSystem.FileSystem | Path.Path> {
  if ((yield* locate(name)) !== undefined) return
  return yield* new CommandFailed({ message: `${by} cannot be run. ${missing(name)} ${remedy(name)}` })
})
