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
