/**
 * What `baton init` writes.
 *
 * @since 0.1.0
 */

/**
 * A configuration that works as it is, and says what else there is.
 *
 * @category configuration
 * @since 0.1.0
 */
export const configuration = `import { defineConfig } from "@baton/cli/config"

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
export const tasks = `# Tasks

Each open checkbox is a task; what is indented below it belongs to it. Running the list again adds only what is new.

- [ ] Explain in one sentence what a lease is.
- [ ] Name three things that can go wrong when two workers take the same task.
- [ ] Write a haiku about a queue that is empty.
`
