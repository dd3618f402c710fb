/** `baton init` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { fileNames } from "../settings/loadProject.ts"
import { writeLine } from "../view/stdout.ts"
import { writeFile } from "../view/writeFile.ts"
import { safe } from "../view/safeText.ts"

/** Writes a configuration and a sample list. Existing files are not changed. */
export const init = Command.make("init", {}, () =>
  Effect.gen(function* () {
    const configuration = yield* write(fileNames, configurationText)
    const tasks = yield* write(["tasks.md"], tasksText)
    const width = Math.max(configuration.length, tasks.length) + 2
    yield* writeLine(safe`${configuration.padEnd(width)}settings for all commands in this directory`)
    yield* writeLine(safe`${tasks.padEnd(width)}sample tasks`)
    yield* writeLine(safe``)
    yield* writeLine(safe`  baton doctor        check that everything is ready`)
    yield* writeLine(safe`  baton run tasks.md  run the tasks`)
  })
).pipe(
  Command.withDescription(
    "Write a commented baton.config.ts and a sample list of tasks into this directory. Existing files are not changed."
  ),
  Command.withShortDescription("Write a configuration and a sample list"),
  Command.withExamples([
    { command: "baton init && baton run tasks.md", description: "Set up a directory and start a first run" }
  ])
)

/** Writes the first of these files unless one of them exists; returns a line about the file. */
const write = Effect.fnUntraced(function* (names: readonly [string, ...ReadonlyArray<string>], text: string) {
  const fs = yield* FileSystem.FileSystem
  for (const name of names) {
    if (yield* Effect.orElseSucceed(fs.exists(name), () => true)) return `${name} (already exists)`
  }
  yield* writeFile(names[0], Stream.succeed(text))
  return names[0]
})

/** A working configuration with comments about other settings. */
const configurationText = `import { defineConfig } from "@baton/cli/config"

// Every setting is a flag of \`baton run\` in camel case: see \`baton run --help\`. Flags override the environment
// (BATON_CONCURRENCY=8), and the environment overrides this file. \`baton doctor --config\` lists the settings in effect.
export default defineConfig({
  // The store of the tasks. Workers on several machines can share postgres://... and redis://... stores.
  store: "sqlite:.baton/baton.db",

  // The command that executes a task: it reads the description from stdin and writes the output to stdout.
  // This example counts words.
  exec: "wc -w",
  // executor: "claude",      // Claude's API, with the key in ANTHROPIC_API_KEY
  // executor: "openai",      // OpenAI, or a compatible server: see baseUrl
  // executor: "claude-code", // claude -p

  // The command that verifies an output: it reads the output from stdin. Exit code 0 accepts it; with any other code, the
  // text that the command prints is the feedback for the next attempt.
  verify: "grep -q [0-9]",
  // verifier: "claude",

  concurrency: 4,
  maxAttempts: 3,

  // Limits that stop a run. A limit on the cost needs an executor that reports its cost.
  maxConsecutiveFailures: 10,
  // maxCost: 5,
  // maxDuration: "8h",

  profiles: {
    // baton run --profile overnight
    overnight: { concurrency: 16, maxDuration: "8h" }
  }
})
`

/** A sample list. */
const tasksText = `# Tasks

Each unchecked checkbox is a task, together with the indented lines below it. Running the list again adds only new tasks.

- [ ] Explain in one sentence what a lease is.
- [ ] Name three things that can go wrong when two workers take the same task.
- [ ] Write a haiku about an empty queue.
`
