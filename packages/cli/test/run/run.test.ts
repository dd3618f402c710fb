import { Task, TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { RunSummary } from "../../src/view/summary.ts"
import { add, fail } from "../commands/harness.ts"
import { baton, file, test } from "./harness.ts"

const fake = ["--executor", "fake"] as const
const verified = [...fake, "--verifier", "always-pass"] as const

const decodeSummary = Schema.decodeUnknownEffect(Schema.fromJsonString(RunSummary))

/** Parses JSON lines. */
const objects = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `t${index}`, description: `Task ${index}` }))

describe("baton run", () => {
  test(
    "imports its source, completes the tasks, and writes only to standard error",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two", "three")
      const { exitCode, stderr, stdout } = yield* baton(["run", tasks, ...verified])
      assert.deepStrictEqual({ exitCode, stdout }, { exitCode: 0, stdout: "" })
      assert.include(stderr, "tasks.txt: 3 tasks added\n")
      assert.match(stderr, /^✓ 3 of 3 tasks completed in \d+ms/m)
      const { completed } = yield* TaskStore.TaskStore.use((store) => store.counts)
      assert.strictEqual(completed, 3)
    })
  )

  test(
    "executes nothing when it is run again",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      yield* baton(["run", tasks, ...verified])
      const { exitCode, stderr, stdout } = yield* baton(["run", tasks, ...verified, "--output", "ndjson"])
      assert.strictEqual(exitCode, 0)
      assert.include(stderr, "0 tasks added, 2 already in the store")
      assert.include(stderr, "✓ Nothing to do: all 2 tasks are already completed")
      assert.deepStrictEqual(
        objects(stdout).map(({ event }) => event),
        ["RunStarted", "RunEnded"]
      )
    })
  )

  test(
    "prints one object at the end with --json",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const { stdout } = yield* baton(["run", tasks, ...verified, "--json"])
      assert.strictEqual(stdout.split("\n").length, 2)
      const report = yield* decodeSummary(stdout)
      assert.deepInclude(report, {
        reason: { _tag: "Drained", waiting: 0 },
        exitCode: 0,
        imported: { added: 2, existing: 0, skipped: 0 }
      })
      assert.deepInclude(report.counts, { completed: 2, pending: 0 })
      assert.deepInclude(report.stats, { tasksCompleted: 2, tasksUnverified: 0 })
    })
  )

  test(
    "prints every event with --output ndjson as one object per line, the end of the run last",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" })
      const { stdout } = yield* baton(["run", ...verified, "--output", "ndjson"])
      const events = objects(stdout)
      assert.deepStrictEqual(
        events.map(({ event, taskId }) => [event, taskId]),
        [
          ["RunStarted", undefined],
          ["TaskStarted", "a"],
          ["TaskCompleted", "a"],
          ["RunEnded", undefined]
        ]
      )
      assert.deepInclude(events[2], { output: "Fake result for: Do a", verified: true, attempt: 1 })
      assert.deepInclude(events[3], { reason: { _tag: "Drained", waiting: 0 } })
    })
  )

  test(
    "exits with 2 if a task is in the dead-letter queue, and suggests a command",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" })
      yield* fail("no")
      const { exitCode, stderr } = yield* baton(["run", ...fake])
      assert.strictEqual(exitCode, 2)
      assert.include(stderr, "baton dlq requeue --all")
    })
  )

  test(
    "exits with 2 if a task depends on one that will never complete",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" }, { id: "b", description: "Do b", dependsOn: ["a"] })
      yield* TaskStore.TaskStore.use((store) => store.cancel({ ids: [Task.TaskId.make("a")] }))
      const { exitCode, stderr } = yield* baton(["run", ...fake])
      assert.strictEqual(exitCode, 2)
      assert.include(stderr, "1 depends on a task that did not complete")
    })
  )

  test(
    "exits with 3 if a limit stopped it, and names the limit",
    Effect.gen(function* () {
      yield* add(...numbered(5))
      const { exitCode, stderr, stdout } = yield* baton(["run", ...fake, "-j", "1", "--max-iterations", "2", "--json"])
      assert.strictEqual(exitCode, 3)
      assert.include(stderr, "limit of 2 attempts")
      const report = yield* decodeSummary(stdout)
      assert.deepInclude(report, { exitCode: 3 })
      assert.deepInclude(report.counts, { completed: 2, pending: 3 })
    })
  )

  test(
    "waits as long as --retry-delay says, and not for retries that a limit refuses",
    Effect.gen(function* () {
      yield* add(...numbered(2))
      const failing = ["--exec", "false", "--retry-delay", "1h", "--max-iterations", "2"]
      const { exitCode, stdout } = yield* baton(["run", ...failing, "--output", "ndjson"])
      assert.strictEqual(exitCode, 3)
      const retried = objects(stdout).filter(({ event }) => event === "TaskRetried")
      assert.lengthOf(retried, 2)
      for (const { delayMillis } of retried) assert.isAtLeast(Number(delayMillis), 0.8 * 3_600_000)
    })
  )

  test(
    "reports unverified tasks unless --no-verify is set",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" })
      assert.include((yield* baton(["run", ...fake])).stderr, "1 task completed without verification")
      yield* add({ id: "b", description: "Do b" })
      assert.notInclude((yield* baton(["run", ...fake, "--no-verify"])).stderr, "unverified")
    })
  )

  test(
    "prints nothing with --quiet if there are no problems",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const outcome = yield* baton(["run", tasks, ...fake, "--quiet"])
      assert.deepStrictEqual(outcome, { stdout: "", stderr: "", exitCode: 0 })
    })
  )

  test(
    "takes a limit from the environment; the flag overrides it",
    Effect.gen(function* () {
      yield* add(...numbered(5))
      const env = { BATON_MAX_ITERATIONS: "1", BATON_CONCURRENCY: "1" }
      const limited = yield* baton(["run", ...fake], { env })
      assert.strictEqual(limited.exitCode, 3)
      const { exitCode } = yield* baton(["run", ...fake, "--max-iterations", "100"], { env })
      assert.strictEqual(exitCode, 0)
    })
  )

  test(
    "names the variable with an invalid value",
    Effect.gen(function* () {
      const { exitCode, stderr } = yield* baton(["run", ...fake], { env: { BATON_LEASE: "soon" } })
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, 'error: BATON_LEASE is "soon": it takes a duration')
    })
  )

  test(
    "a flag for the executor overrides a different one from the environment",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" })
      const { exitCode } = yield* baton(["run", ...fake], { env: { BATON_EXEC: "no-such-program" } })
      assert.strictEqual(exitCode, 0)
    })
  )
})

describe("baton run --max-cost", () => {
  test(
    "sets the budget of the queue; the limit of a run does not",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const budgets = yield* TaskStore.TaskStore.use((store) => Effect.fromNullishOr(store.budgets))
      yield* baton(["run", tasks, ...fake, "--max-cost-per-run", "1"])
      assert.deepStrictEqual(yield* budgets.list, [])
      yield* baton(["run", tasks, ...fake, "--max-cost", "2.5"])
      yield* baton(["run", tasks, ...fake, "--max-tokens", "100"])
      const zero = { nanoUsd: 0, tokens: 0 }
      assert.deepStrictEqual(yield* budgets.list, [
        { queue: "tasks", limit: { nanoUsd: 2.5e9, tokens: 100 }, committed: zero, reserved: zero }
      ])
    })
  )

  test(
    "limits one queue",
    Effect.gen(function* () {
      const sources = [yield* file("a.txt", "one"), yield* file("b.txt", "two")]
      const { exitCode, stderr } = yield* baton(["run", ...sources, ...fake, "--max-cost", "1"])
      assert.include(stderr, "--max-cost limits one queue, and this run has 2: a, b. Put the sources into one queue")
      assert.strictEqual(exitCode, 1)
      const { pending } = yield* TaskStore.TaskStore.use((store) => store.counts)
      assert.strictEqual(pending, 0)
    })
  )

  test(
    "limits the run alone, with a warning, where the store keeps no budgets",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const tasks = yield* file("tasks.txt", "one")
      const { exitCode, stderr } = yield* Effect.provideService(
        baton(["run", tasks, ...fake, "--max-cost", "1"]),
        TaskStore.TaskStore,
        { ...store, budgets: undefined }
      )
      assert.include(stderr, "This store keeps no budgets: --max-cost limits this run alone")
      assert.strictEqual(exitCode, 0)
    })
  )
})

describe("baton run refuses", () => {
  const refusals: ReadonlyArray<readonly [what: string, args: ReadonlyArray<string>, sentence: string]> = [
    ["to run without an executor", [], "error: No executor is set. Add a command"],
    ["two executors", ["--exec", "a", "--shell", "b"], "error: --exec and --shell are both given"],
    ["a verifier with --no-verify", [...fake, "--verify", "a", "--no-verify"], "error: --verify and --no-verify"],
    [
      "shell operators without a shell",
      ["--exec", "sort | uniq"],
      '--exec cannot be run. The operator "|" needs a shell'
    ],
    [
      "a budget that the executor cannot keep",
      ["--exec", "a", "--max-cost", "1"],
      "error: --max-cost does not work with --exec"
    ],
    [
      "two formats on standard output",
      [...fake, "--json", "--output", "ndjson"],
      "error: --json and --output ndjson both"
    ],
    ["an unknown executor", ["--executor", "clude"], 'error: --executor is "clude": it takes fake']
  ]
  for (const [what, args, sentence] of refusals) {
    test(
      what,
      Effect.gen(function* () {
        const tasks = yield* file("tasks.txt", "one")
        const { exitCode, stderr, stdout } = yield* baton(["run", tasks, ...args])
        assert.deepStrictEqual({ exitCode, stdout }, { exitCode: 1, stdout: "" })
        assert.include(stderr, sentence)
        // Nothing was imported.
        const { pending } = yield* TaskStore.TaskStore.use((store) => store.counts)
        assert.strictEqual(pending, 0)
      })
    )
  }

  test(
    "a source with an invalid line, and names the line",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.jsonl", '{"description":"fine"}', '{"description":')
      const { exitCode, stderr } = yield* baton(["run", tasks, ...fake])
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /^\S*tasks\.jsonl:2: /m)
    })
  )

  test(
    "an unknown store, and lists the known ones",
    Effect.gen(function* () {
      for (const [url, hint] of [
        ["mysql://x", ""],
        ["tasks.db", " Did you mean sqlite:tasks.db?"],
        ["a.json", " Did you mean json:a.json?"]
      ] as const) {
        const { exitCode, stderr } = yield* baton(["run", ...fake, "--store", url])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `error: --store is "${url}": it takes test:.${hint}\n`)
      }
    })
  )

  test(
    "to create a store without a source",
    Effect.gen(function* () {
      const { StoreSchemes } = yield* Effect.promise(() => import("../../src/run/stores.ts"))
      const schemes = yield* StoreSchemes
      const sqlite = schemes.get("sqlite")
      if (sqlite === undefined) return assert.fail("the sqlite: scheme is missing")
      const fs = yield* FileSystem.FileSystem
      const location = `${yield* fs.makeTempDirectoryScoped()}/none/baton.db`
      const error = yield* Effect.flip(
        Effect.provide(TaskStore.TaskStore, sqlite.open({ location, mustExist: true }), { local: true })
      )
      assert.include(error.message, `There is no store at ${location}`)
      assert.isFalse(yield* fs.exists(location))
    })
  )
})
