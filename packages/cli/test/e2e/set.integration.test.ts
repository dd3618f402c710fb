import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { baton, folder, start } from "./baton.ts"

describe("baton set", () => {
  it.live("changes the concurrency and the budget of a run in another process", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", Array.from({ length: 12 }, (_, index) => `task ${index}\n`).join(""))
      // A task ends when the test says so.
      const program = "cat > /dev/null; while [ ! -e open ]; do sleep 0.05; done; echo done"
      const run = yield* start(dir.path, [
        ...["run", "tasks.txt", "--shell", program, "--no-verify", "-j", "2", "--output", "ndjson"],
        ...["--log-level", "warn"]
      ])
      for (let started = 0; started < 2; started++) yield* run.event("TaskStarted")
      const set = yield* baton(dir.path, ["set", "-j", "8", "--max-cost", "5"])
      assert.deepStrictEqual(
        [set.stderr, set.stdout],
        [
          "",
          "The running workers of the queue tasks work on up to 8 tasks at a time. Later runs use their own -j.\n" +
            "tasks: $0.00 of $5.00 spent\n"
        ]
      )
      yield* run.event("ConcurrencyChanged")
      for (let started = 2; started < 8; started++) yield* run.event("TaskStarted")
      const { stdout } = yield* baton(dir.path, ["status"])
      assert.match(stdout, /^ {2}in progress +8 /m)
      assert.match(stdout, /^ {2}tasks: each worker runs up to 8 tasks at a time, set .+ ago$/m)
      const typo = yield* baton(dir.path, ["set", "-j", "1", "--worker", "typo"])
      assert.strictEqual(typo.code, 1)
      const [, name = "none"] =
        /^error: No worker with the name typo has a task of the queue tasks now\. These have: (\S+)\.$/m.exec(
          typo.stderr
        ) ?? []
      const one = yield* baton(dir.path, ["set", "-j", "9", "--worker", name])
      assert.deepStrictEqual(
        [one.stderr, one.stdout],
        ["", `The worker ${name} works on up to 9 tasks at a time. Later runs use their own -j.\n`]
      )
      yield* run.event("ConcurrencyChanged")
      yield* run.event("TaskStarted")
      dir.write("open", "")
      assert.strictEqual((yield* run.ended).code, 0)
      assert.notInclude((yield* baton(dir.path, ["status"])).stdout, "each worker")
    })
  )

  it.live("is not needed to see the output of a run, or to pause and resume its queue, from another terminal", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", Array.from({ length: 6 }, (_, index) => `task ${index}\n`).join(""))
      const program = "cat > /dev/null; echo at work; while [ ! -e open ]; do sleep 0.05; done; echo done"
      const run = yield* start(dir.path, [
        ...["run", "tasks.txt", "--shell", program, "--no-verify", "-j", "2", "--output", "ndjson"],
        ...["--log-level", "warn"]
      ])
      yield* run.event("TaskStarted")
      const { taskId = "none" } = yield* run.event("TaskStarted")
      // Its output is shown while it runs, in events and from another terminal.
      yield* run.event("TaskProgress")
      yield* Effect.repeat(baton(dir.path, ["show", taskId]), {
        until: ({ stdout }) => stdout.endsWith("\n\nOutput so far\n  at work\n"),
        schedule: Schedule.spaced("100 millis")
      })
      const paused = yield* baton(dir.path, ["pause", "--queue", "tasks"])
      assert.match(
        paused.stdout,
        /^Paused the queue tasks until .+\. 2 running tasks will finish; no other task starts/
      )
      yield* run.event("QueuePaused")
      dir.write("open", "")
      for (let ended = 0; ended < 2; ended++) yield* run.event("TaskCompleted")
      assert.match((yield* baton(dir.path, ["status"])).stdout, /^ {2}pending +4$/m)
      const resumed = yield* baton(dir.path, ["resume", "--queue", "tasks"])
      assert.strictEqual(resumed.stdout, "Resumed the queue tasks. Runs can start 4 pending tasks.\n")
      yield* run.event("QueueResumed")
      assert.strictEqual((yield* run.ended).code, 0)
    })
  )

  it.live("says what to set, and which queue when there are several", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("a.txt", "one\n")
      dir.write("b.txt", "one\n")
      yield* baton(dir.path, ["import", "a.txt", "b.txt"])
      assert.include((yield* baton(dir.path, ["set"])).stderr, "There is nothing to set. Add -j N, --max-cost USD or")
      assert.include((yield* baton(dir.path, ["set", "--worker", "x"])).stderr, "--worker is for -j: add -j N.")
      assert.include(
        (yield* baton(dir.path, ["set", "-j", "4"])).stderr,
        "This store has several queues: a, b. Name one, as in --queue a."
      )
      const zero = yield* baton(dir.path, ["set", "-j", "0"])
      assert.include(zero.stderr, '--concurrency is "0": it takes a whole number of at least 1, or default.')
    })
  )
})
