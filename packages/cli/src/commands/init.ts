/**
 * `baton init`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { fileNames } from "../settings/loadProject.ts"
import { writeLine } from "../view/stdout.ts"
import { writeFile } from "../system/writeFile.ts"

/**
 * Writes a configuration and a list to begin with. A file that is there stays as it is.
 *
 * @category commands
 * @since 0.1.0
 */
export const init = Command.make("init", {}, () =>
  Effect.gen(function* () {
    const files = yield* Effect.promise(() => import("./initFiles.ts"))
    const configuration = yield* write(fileNames, files.configuration)
    const tasks = yield* write(["tasks.md"], files.tasks)
    const width = Math.max(configuration.length, tasks.length) + 2
    yield* writeLine(`${configuration.padEnd(width)}settings for every command in this directory`)
    yield* writeLine(`${tasks.padEnd(width)}tasks to begin with`)
    yield* writeLine("")
    yield* writeLine("  baton doctor        check that everything is there")
    yield* writeLine("  baton run tasks.md  work on the tasks")
  })
).pipe(
  Command.withDescription(
    "Write a commented baton.config.ts and a sample list of tasks into this directory. Files that are there stay as they are."
  ),
  Command.withShortDescription("Write a configuration and a sample list"),
  Command.withExamples([{ command: "baton init && baton run tasks.md", description: "From nothing to a first run" }])
)

/** Writes the first of these files unless one of them is there; returns what is to be said of it. */
const write = Effect.fnUntraced(function* (names: readonly [string, ...ReadonlyArray<string>], text: string) {
  const fs = yield* FileSystem.FileSystem
  for (const name of names) {
    if (yield* Effect.orElseSucceed(fs.exists(name), () => true)) return `${name} (there already)`
  }
  yield* writeFile(names[0], Stream.succeed(text))
  return names[0]
})
