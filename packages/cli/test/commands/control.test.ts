import { assert, describe } from "@effect/vitest"
import { TaskStore } from "@baton/core"
import { Effect } from "effect"
import { add, baton, everyKind, morning, test, text } from "./harness.ts"

const control = TaskStore.TaskStore.use((store) => store.control)

describe("baton pause and resume", () => {
  test(
    "apply to every run on the store and report the current state",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["pause"]), {
        stdout: text("Paused. 1 running task will finish; no other task starts until `baton resume`."),
        stderr: "",
        exitCode: 0
      })
      assert.isTrue((yield* control).paused)
      assert.include((yield* baton(["pause"])).stdout, "Already paused. 1 running task")
      assert.strictEqual((yield* baton(["resume"])).stdout, text("Resumed. Runs can start 2 pending tasks."))
      assert.isFalse((yield* control).paused)
      assert.strictEqual((yield* baton(["resume"])).stdout, text("The store was not paused."))
    })
  )

  test(
    "report that nothing is running",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "A" })
      assert.strictEqual(
        (yield* baton(["pause"])).stdout,
        text("Paused. No task is running, and none will start until `baton resume`.")
      )
    })
  )
})

describe("baton pause --queue and baton resume --queue", () => {
  test(
    "pause and resume one queue, and status shows it",
    Effect.gen(function* () {
      yield* everyKind
      const paused = yield* baton(["pause", "--queue", "default", "--until", "2h"])
      assert.match(
        paused.stdout,
        /^Paused the queue default until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \(2h 00m left\)\. 1 running task will finish; no other task starts until then\.\n$/
      )
      assert.isFalse((yield* control).paused, "other queues continue")
      assert.match((yield* baton(["status"])).stdout, /\ndefault is paused until .* \(\dh \d\dm left\)\n/)
      assert.deepInclude(JSON.parse((yield* baton(["pause", "--queue", "default", "--json"])).stdout), {
        queue: "default",
        cause: "requested"
      })
      assert.strictEqual(
        (yield* baton(["resume", "--queue", "default"])).stdout,
        text("Resumed the queue default. Runs can start 2 pending tasks.")
      )
      assert.strictEqual(
        (yield* baton(["resume", "--queue", "default"])).stdout,
        text("The queue default was not paused.")
      )
    })
  )

  test(
    "explain a time that is none, and a time without a queue",
    Effect.gen(function* () {
      yield* everyKind
      const wrong = yield* baton(["pause", "--queue", "default", "--until", "soon"])
      assert.deepStrictEqual([wrong.exitCode, wrong.stdout], [1, ""])
      assert.include(wrong.stderr, "--until soon is not a time to come. Write 2h, 18:30, or a date with a time")
      assert.include((yield* baton(["pause", "--until", "2h"])).stderr, "--until is for one queue. Add --queue NAME.")
    })
  )
})

describe("baton stop", () => {
  test(
    "asks every run to end and reports the current state",
    Effect.gen(function* () {
      yield* everyKind
      assert.strictEqual(
        (yield* baton(["stop"])).stdout,
        text("Asked every run to stop. 1 running task can still finish; unfinished tasks become pending again.")
      )
      assert.strictEqual((yield* control).stops, 1)
      yield* baton(["cancel", "ship"])
      assert.strictEqual(
        (yield* baton(["stop"])).stdout,
        text("Asked every run to stop. No task is running; idle workers stop too.")
      )
    })
  )

  test(
    "prints the same information as JSON",
    Effect.gen(function* () {
      yield* everyKind
      assert.strictEqual((yield* baton(["stop", "--json"])).stdout, text('{"paused":false,"running":1,"pending":2}'))
      assert.strictEqual((yield* baton(["pause", "--json"])).stdout, text('{"paused":true,"running":1,"pending":2}'))
      assert.strictEqual((yield* baton(["resume", "--json"])).stdout, text('{"paused":false,"running":1,"pending":2}'))
    })
  )
})
