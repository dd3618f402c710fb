import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Executor, RetryPolicy, Task } from "@baton/core"
import { get, make, yields } from "./harness.ts"

const task = (id: string, overrides: Task.Overrides) => Task.makeNew({ id, description: `do ${id}`, overrides })

describe("a task's own settings", () => {
  it.effect("limit its attempts before the run does, in both directions", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 3, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ success: false })
      })
      yield* store.add([task("once", { maxAttempts: 1 }), task("five", { maxAttempts: 5 }), task("usual", {})])
      yield* orchestrator.run
      const attempts = yield* Effect.forEach(["once", "five", "usual"], (id) => get(store, id))
      assert.deepStrictEqual(
        attempts.map(({ attempts, status }) => [attempts, status]),
        [
          [1, "failed"],
          [5, "failed"],
          [3, "failed"]
        ]
      )
    })
  )

  it.effect("limit an execution before the run does, in both directions", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { executionTimeout: "1 minute", maxAttempts: 1, concurrency: 3, leaseDuration: "1 hour" },
        executor: Executor.layerFake({ delay: "2 minutes" })
      })
      yield* store.add([
        task("short", { executionTimeoutMillis: 1000 }),
        task("long", { executionTimeoutMillis: 3_600_000 }),
        task("usual", {})
      ])
      const run = yield* Effect.forkChild(orchestrator.run)
      for (const step of ["1 second", "59 seconds", "1 minute"] as const) {
        yield* yields()
        yield* TestClock.adjust(step)
      }
      yield* Fiber.join(run)
      const started = journal.of("TaskStarted")[0]?.at.epochMilliseconds ?? 0
      const ends = [...journal.of("TaskFailed"), ...journal.of("TaskCompleted")]
      assert.deepStrictEqual(
        ends.map(({ at, taskId }) => [taskId, at.epochMilliseconds - started]),
        [
          ["short", 1000],
          ["usual", 60_000],
          ["long", 120_000]
        ]
      )
      const [attempt] = yield* store.attempts("short")
      assert.strictEqual(attempt?.error, "The execution took too long and was stopped.")
    })
  )

  it.effect("set the delay of each retry instead of the policy of the run, and do not end with it", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 4, retryPolicy: RetryPolicy.exponential({ base: "1 hour" }) },
        executor: Executor.layerFake({ success: false })
      })
      yield* store.add([task("a", { retryDelayMillis: 250 })])
      const run = yield* Effect.forkChild(orchestrator.run)
      for (let attempt = 1; attempt < 4; attempt++) {
        yield* yields()
        yield* TestClock.adjust(250)
      }
      yield* Fiber.join(run)
      assert.deepStrictEqual(
        journal.of("TaskRetried").map(({ delayMillis }) => delayMillis),
        [250, 250, 250]
      )
    })
  )

  it.effect("limit the attempts of a task whose workers die", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { maxAttempts: 3 } })
      yield* store.add([task("once", { maxAttempts: 1 }), task("usual", {})])
      yield* store.claim({ limit: 2, owner: "dead", lease: Duration.seconds(1) })
      yield* TestClock.adjust("1 minute")
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "once")).status, "failed")
      assert.strictEqual((yield* get(store, "usual")).status, "completed")
    })
  )
})
