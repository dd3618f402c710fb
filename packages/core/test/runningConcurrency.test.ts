import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Queue } from "effect"
import { Execution, Executor, RunningConcurrency } from "@baton/core"
import { TestClock } from "effect/testing"
import { make, numbered, tasks, yields } from "./harness.ts"

/** A run whose tasks end when the test says so. */
const open = Effect.fnUntraced(function* (config: { readonly concurrency: number; readonly prefetch?: number }) {
  const ends = yield* Queue.unbounded<void>()
  const counts = { running: 0, most: 0 }
  const executor = Executor.layer(() =>
    Effect.gen(function* () {
      counts.most = Math.max(counts.most, ++counts.running)
      yield* Queue.take(ends)
      counts.running--
      return Execution.make({ output: "x" })
    })
  )
  const parts = yield* make({ config: { ...config, owner: "host/1" }, executor })
  const end = (tasks: number) =>
    Effect.gen(function* () {
      // Long enough that none are claimed ahead.
      yield* TestClock.adjust("1 second")
      yield* Queue.offerAll(ends, Array.from({ length: tasks }))
      yield* yields()
    })
  yield* parts.store.add(numbered(40))
  const set = (concurrency: number | undefined, worker?: string) =>
    Effect.andThen(
      parts.store.concurrency?.set({ queue: "default", worker, concurrency }) ?? Effect.die("the store keeps none"),
      yields()
    )
  const run = yield* Effect.forkChild(parts.orchestrator.run)
  yield* yields()
  return { ...parts, counts, end, run, set }
})

describe("the concurrency of a run", () => {
  it.effect("grows at once, shrinks as tasks end, and returns to its own", () =>
    Effect.gen(function* () {
      const { counts, end, journal, run, set } = yield* open({ concurrency: 4 })
      assert.strictEqual(counts.running, 4)
      yield* set(10)
      assert.strictEqual(counts.running, 10)
      yield* set(2)
      assert.strictEqual(counts.running, 10, "running tasks are not cut off")
      yield* end(7)
      assert.strictEqual(counts.running, 3)
      yield* end(3)
      assert.strictEqual(counts.running, 2)
      yield* set(undefined)
      assert.strictEqual(counts.running, 4)
      assert.deepStrictEqual(
        journal.of("ConcurrencyChanged").map(({ concurrency }) => concurrency),
        [10, 2, 4]
      )
      yield* end(40)
      const { stats } = yield* Fiber.join(run)
      assert.deepStrictEqual([stats.tasksCompleted, counts.most], [40, 10])
    })
  )

  it.effect("shrinks at once for tasks that were claimed ahead", () =>
    Effect.gen(function* () {
      const { counts, end, run, set, store } = yield* open({ concurrency: 4, prefetch: 20 })
      yield* set(1)
      yield* end(4)
      assert.strictEqual(counts.running, 1)
      yield* end(40)
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 40)
      assert.strictEqual(counts.most, 4)
      const listed = yield* store.list({ limit: 100 })
      assert.isTrue(
        listed.tasks.every(({ attempts }) => attempts === 1),
        "a task that was given back lost no attempt"
      )
    })
  )

  it.effect("follows a setting for its worker, and none for others", () =>
    Effect.gen(function* () {
      const { counts, end, run, set } = yield* open({ concurrency: 1 })
      yield* set(9, "host/2")
      assert.strictEqual(counts.running, 1)
      yield* set(3, "host/1")
      assert.strictEqual(counts.running, 3)
      yield* end(40)
      yield* Fiber.join(run)
    })
  )

  it.effect("does not follow earlier settings", () =>
    Effect.gen(function* () {
      const { counts, end, orchestrator, run, set, store } = yield* open({ concurrency: 1 })
      yield* set(5)
      assert.strictEqual(counts.running, 5)
      yield* end(40)
      yield* Fiber.join(run)
      yield* store.add(tasks("late-1", "late-2", "late-3"))
      const later = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      assert.strictEqual(counts.running, 1)
      yield* store.request("pause")
      yield* store.request("resume")
      yield* yields()
      assert.strictEqual(counts.running, 1, "another request does not bring it back")
      yield* end(3)
      yield* Fiber.join(later)
    })
  )
})

describe("RunningConcurrency", () => {
  it("one worker's setting counts before that of all, until all are set again", () => {
    const setting = (worker: string | undefined, concurrency: number | undefined, revision: number) => ({
      queue: "q",
      worker,
      concurrency,
      revision,
      at: DateTime.makeUnsafe(0)
    })
    const worker = { queues: ["q"], names: ["w"], startedAt: 1 }
    const one = RunningConcurrency.after([], setting("w", 3, 1))
    const both = RunningConcurrency.after(one, setting(undefined, 5, 2))
    const again = RunningConcurrency.after(both, setting("w", undefined, 3))
    assert.strictEqual(RunningConcurrency.of(one, worker), 3)
    assert.strictEqual(RunningConcurrency.of(both, worker), 5)
    assert.strictEqual(RunningConcurrency.of(again, worker), undefined, "without a number, it is its own")
    assert.strictEqual(RunningConcurrency.of(both, { ...worker, startedAt: 3 }), undefined)
    assert.strictEqual(RunningConcurrency.of(both, { ...worker, queues: ["other"] }), undefined)
  })
})
