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
    const configuration = yield* write(fileNames, configurationText)
    const tasks = yield* write(["tasks.md"], tasksText)
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

/**
 * A configuration that works as it is, and says what else there is.
 *
 * @category configuration
 * @since 0.1.0
 */
const configurationText = `import { defineConfig } from "@baton/cli/config"

// Every setting is a flag of \`baton run\` in camel case: see \`baton run --help\`. A flag wins over the environment
// (BATON_CONCURRENCY=8), and the environment over this file. \`baton doctor --config\` shows what applies.
export default defineConfig({
  // Where the tasks are. postgres://... and redis://... can be shared by workers on any number of machines.
  store: "sqlite:.baton/baton.db",

  // What does a task: the description on its stdin, the output from its stdout. This one counts words, to try it out.
  exec: "wc -w",
  // executor: "claude",      // Claude's API, with the key in ANTHROPIC_API_KEY
  // executor: "claude-code", // claude -p

  // What checks an output: the output on its stdin. Exit code 0 accepts; otherwise, what it prints is the feedback for
  // the next attempt.
  verify: "grep -q [0-9]",
  // verifier: "claude",

  concurrency: 4,
  maxAttempts: 3,

  // Where a run stops by itself. Limits in money need an executor that knows what it costs.
  maxConsecutiveFailures: 10,
  // maxCost: 5,
  // maxDuration: "8h",

  profiles: {
    // baton run --profile overnight
    overnight: { concurrency: 16, maxDuration: "8h" }
  }
})
`

/**
 * A list to begin with.
 *
 * @category configuration
 * @since 0.1.0
 */
const tasksText = `# Tasks

Each open checkbox is a task; what is indented below it belongs to it. Running the list again adds only what is new.

- [ ] Explain in one sentence what a lease is.
- [ ] Name three things that can go wrong when two workers take the same task.
- [ ] Write a haiku about a queue that is empty.
`
