import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Latch, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import { Execution, ExecutionError, Executor, RetryPolicy, Task, Usage } from "@baton/core"
import { get, hasEnded, make, numbered, tasks, yields } from "./harness.ts"

const answer = (attempts: Parameters<Executor.BatchHandler>[0]) =>
  new Map(attempts.map(({ task }) => [task.id, Execution.make({ output: `done ${task.id}` })]))

const options = { maxSize: 4, window: "1 second" } as const

describe("Executor.layerBatch", () => {
  it.effect("executes full batches at once, and the rest after the window", () =>
    Effect.gen(function* () {
      const calls: Array<number> = []
      const { orchestrator, store } = yield* make({
        config: { concurrency: 10 },
        executor: Executor.layerBatch(options, (attempts) =>
          Effect.sync(() => {
            calls.push(attempts.length)
            return answer(attempts)
          })
        )
      })
      yield* store.add(numbered(10))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      assert.deepStrictEqual(calls, [4, 4])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(run)
      assert.deepStrictEqual(calls, [4, 4, 2])
      assert.strictEqual((yield* get(store, "t9")).result, "done t9")
    })
  )

  it.effect("fails only the tasks that failed or have no result, and retries a transient error in a later call", () =>
    Effect.gen(function* () {
      let calls = 0
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4, maxAttempts: 1, transientRetry: RetryPolicy.transient },
        executor: Executor.layerBatch(options, (attempts) =>
          Effect.sync(() => {
            const results = new Map<Task.TaskId, Execution.Execution | ExecutionError>(answer(attempts))
            results.delete(Task.TaskId.make("lost"))
            const fail = (id: string, reason: ExecutionError["reason"]) =>
              results.set(Task.TaskId.make(id), new ExecutionError({ reason, message: "no" }))
            fail("bad", "Permanent")
            if (calls++ === 0) fail("busy", "Transient")
            return results
          })
        )
      })
      yield* store.add(tasks("good", "bad", "busy", "lost"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      for (let n = 0; n < 5; n++) {
        yield* TestClock.adjust("1 second")
        yield* yields()
      }
      yield* Fiber.join(run)
      const found = yield* Effect.forEach(["good", "bad", "busy", "lost"], (id) => get(store, id))
      assert.deepStrictEqual(
        found.map(({ feedback, status }) => [status, feedback]),
        [
          ["completed", undefined],
          ["failed", "no"],
          ["completed", undefined],
          ["failed", "The batch handler returned no result for this task."]
        ]
      )
      assert.strictEqual(calls, 2)
    })
  )

  it.effect("fails every task when the call fails, and counts its usage once", () =>
    Effect.gen(function* () {
      const usage = { ...Usage.zero, costUsd: 1 }
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4, maxAttempts: 1 },
        executor: Executor.layerBatch(options, () =>
          Effect.fail(new ExecutionError({ reason: "Permanent", message: "no", usage }))
        )
      })
      yield* store.add(tasks("a", "b", "c", "d"))
      const { stats } = yield* orchestrator.run
      assert.strictEqual(stats.tasksFailed, 4)
      assert.strictEqual(stats.usage?.costUsd, 1)
    })
  )

  it.effect("leaves a call to the other tasks when one is cut off, and interrupts it when none is left", () =>
    Effect.gen(function* () {
      const started = yield* Latch.make()
      const exits: Array<Exit.Exit<unknown, unknown>> = []
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 1 },
        executor: Executor.layerBatch({ maxSize: 2, window: "1 hour" }, () =>
          Effect.onExit(Effect.andThen(started.open, Effect.never), (exit) => Effect.sync(() => void exits.push(exit)))
        )
      })
      yield* store.add([
        Task.makeNew({ id: "short", description: "x", overrides: { executionTimeoutMillis: 1000 } }),
        Task.makeNew({ id: "long", description: "x", overrides: { executionTimeoutMillis: 2000 } })
      ])
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* started.await
      yield* yields()
      yield* TestClock.adjust("1 second")
      yield* journal.next("TaskFailed")
      assert.lengthOf(exits, 0)
      assert.isFalse(hasEnded(run))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(run)
      assert.lengthOf(exits, 1)
      assert.isTrue(exits.every((exit) => Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)))
    })
  )

  it.effect("takes a task that is cut off while it waits for others out of the batch", () =>
    Effect.gen(function* () {
      const calls: Array<ReadonlyArray<string>> = []
      const { orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 1 },
        executor: Executor.layerBatch({ maxSize: 3, window: "1 minute" }, (attempts) =>
          Effect.sync(() => {
            calls.push(attempts.map(({ task }) => task.id))
            return answer(attempts)
          })
        )
      })
      yield* store.add([
        Task.makeNew({ id: "short", description: "x", overrides: { executionTimeoutMillis: 1000 } }),
        ...tasks("long")
      ])
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      yield* TestClock.adjust("1 second")
      yield* yields()
      yield* TestClock.adjust("59 seconds")
      yield* Fiber.join(run)
      assert.deepStrictEqual(calls, [["long"]])
    })
  )

  it.effect("gives its handler the services of the layer, and no log annotations of one of its tasks", () =>
    Effect.gen(function* () {
      class Suffix extends Context.Service<Suffix, string>()("Suffix") {}
      const layer: Layer.Layer<Executor.Executor, never, Suffix> = Executor.layerBatch(options, (attempts) =>
        Effect.map(Effect.all([Suffix, References.CurrentLogAnnotations]), ([suffix, annotations]) => {
          const output = `${suffix} ${Object.keys(annotations).join(" ")}`
          return new Map(attempts.map(({ task }) => [task.id, Execution.make({ output })]))
        })
      )
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        executor: Layer.provide(layer, Layer.succeed(Suffix, "with"))
      })
      yield* store.add(numbered(4))
      yield* Effect.annotateLogs(orchestrator.run, { app: "shop" })
      assert.strictEqual((yield* get(store, "t0")).result, "with app")
    })
  )
})
