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
        stdout: text("Paused. 1 task still running will finish; no other starts until `baton resume`."),
        stderr: "",
        exitCode: 0
      })
      assert.isTrue((yield* control).paused)
      assert.include((yield* baton(["pause"])).stdout, "Paused already. 1 task")
      assert.strictEqual((yield* baton(["resume"])).stdout, text("Resumed. Runs start 2 pending tasks again."))
      assert.isFalse((yield* control).paused)
      assert.strictEqual((yield* baton(["resume"])).stdout, text("Nothing was paused."))
    })
  )

  test(
    "report that nothing is running",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "A" })
      assert.strictEqual(
        (yield* baton(["pause"])).stdout,
        text("Paused. Nothing is running, and no run starts a task until `baton resume`.")
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
        text("Asked every run to end. 1 running task may still finish; what does not is pending again.")
      )
      assert.strictEqual((yield* control).stops, 1)
      yield* baton(["cancel", "ship"])
      assert.strictEqual(
        (yield* baton(["stop"])).stdout,
        text("Asked every run to end. Nothing is running; workers that wait for tasks end too.")
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
