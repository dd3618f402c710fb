import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, Task, type TaskStore } from "@baton/core"
import * as Claims from "../src/internal/run/claims.ts"
import { get, hasEnded, layerOf, make, memoryStore, numbered, yields } from "./harness.ts"

/** Tasks take as many milliseconds as their metadata says, or 5. */
const millisOf = ({ metadata }: Task.Task) => Number(metadata["millis"] ?? 5)

const timed = Executor.layer((task) => Effect.as(Effect.sleep(millisOf(task)), Execution.make({ output: "x" })))

const lasting = (id: string, millis: number, priority = 0) =>
  Task.makeNew({ id, description: `do ${id}`, metadata: { millis }, priority })

/** Lets time pass, a millisecond at a time, so that every worker sees its attempts end on time. */
const pass = (millis: number) => Effect.repeat(Effect.andThen(TestClock.adjust(1), yields(20)), { times: millis - 1 })

/** A store and an executor that record the limit of each claim, and the most tasks that were claimed and not executed. */
const observe = Effect.map(memoryStore, (real) => {
  const observed = { limits: new Array<number>(), most: 0 }
  let unfinished = 0
  const store: TaskStore.TaskStore["Service"] = {
    ...real,
    claim: (options) =>
      Effect.map(real.claim(options), (claimed) => {
        observed.limits.push(options.limit)
        unfinished += claimed.length
        observed.most = Math.max(observed.most, unfinished)
        return claimed
      })
  }
  const executor = Executor.layer((task) =>
    Effect.map(Effect.sleep(millisOf(task)), () => {
      unfinished--
      return Execution.make({ output: "x" })
    })
  )
  return { executor, observed, store }
})

const numberOfAttempts = (store: TaskStore.TaskStore["Service"], id: string) =>
  Effect.map(store.attempts(Task.TaskId.make(id)), (attempts) => attempts.length)

describe("a run claims tasks for its free workers", () => {
  it.effect("so that a short task does not wait for a long one while another worker is free", () =>
    Effect.gen(function* () {
      const store = yield* memoryStore
      const first = yield* make({ executor: timed, store: layerOf(store) })
      const second = yield* make({ executor: timed, store: layerOf(store) })
      yield* store.add([lasting("long", 3000, 1), lasting("short", 10)])
      const runs = [yield* Effect.forkChild(first.orchestrator.run)]
      yield* first.journal.next("TaskStarted")
      yield* yields()
      runs.push(yield* Effect.forkChild(second.orchestrator.run))
      yield* pass(100)
      assert.strictEqual((yield* get(store, "short")).status, "completed")
      yield* TestClock.adjust("3 seconds")
      for (const run of runs) yield* Fiber.join(run)
    })
  )

  it.effect("and claims nothing ahead while tasks take longer than a few milliseconds", () =>
    Effect.gen(function* () {
      const { executor, observed, store } = yield* observe
      const { orchestrator } = yield* make({ config: { concurrency: 3 }, executor, store: layerOf(store) })
      yield* store.add(Array.from({ length: 20 }, (_, index) => lasting(`t${index}`, 100)))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(800)
      yield* Fiber.join(run)
      assert.deepStrictEqual([observed.most, Math.max(...observed.limits)], [3, 3])
    })
  )

  it.effect("with one claim for all workers that become free at the same time", () =>
    Effect.gen(function* () {
      const { observed, store } = yield* observe
      const gate = yield* Deferred.make<void>()
      let started = 0
      const executor = Executor.layer(() =>
        Effect.suspend(() => {
          started++
          return Effect.as(
            started > 8 ? Effect.sleep("1 second") : Deferred.await(gate),
            Execution.make({ output: "x" })
          )
        })
      )
      const { orchestrator } = yield* make({ config: { concurrency: 8 }, executor, store: layerOf(store) })
      yield* store.add(numbered(16))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      // Too long to claim ahead.
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      yield* yields()
      assert.deepStrictEqual([started, observed.limits], [16, [8, 8]])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(run)
    })
  )

  it.effect("and counts a worker that pauses between tasks as occupied", () =>
    Effect.gen(function* () {
      const { executor, observed, store } = yield* observe
      const config = { pauseBetweenTasks: "1 second" } as const
      const { orchestrator } = yield* make({ config, executor, store: layerOf(store) })
      yield* store.add(numbered(3))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(500)
      assert.deepStrictEqual([(yield* store.counts).pending, observed.most], [2, 1])
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), yields()), { times: 4 })
      yield* Fiber.join(run)
    })
  )
})

describe("tasks of milliseconds are claimed ahead", () => {
  it.effect("as many as are expected to start within 50 milliseconds", () =>
    Effect.gen(function* () {
      for (const concurrency of [1, 4]) {
        const { executor, observed, store } = yield* observe
        const { orchestrator } = yield* make({ config: { concurrency }, executor, store: layerOf(store) })
        yield* store.add(numbered(100 * concurrency))
        const run = yield* Effect.forkChild(orchestrator.run)
        yield* pass(600)
        const { stats } = yield* Fiber.join(run)
        assert.strictEqual(observed.limits[0], concurrency)
        assert.isAtLeast(observed.most, 8 * concurrency)
        assert.isAtMost(observed.most, 15 * concurrency)
        assert.deepStrictEqual([stats.tasksCompleted, stats.executions], [100 * concurrency, 100 * concurrency])
      }
    })
  )

  it.effect("up to 1 000 of them", () =>
    Effect.gen(function* () {
      const { observed, store } = yield* observe
      const { orchestrator } = yield* make({ config: { concurrency: 4 }, store: layerOf(store) })
      yield* store.add(numbered(10_000))
      yield* orchestrator.run
      assert.isAtLeast(Math.max(...observed.limits), 500)
      assert.isAtMost(Math.max(...observed.limits), 1004)
    })
  )

  it.effect("and more than 64 only as far as the workers start them while the store claims", () =>
    Effect.gen(function* () {
      const mostAfter = Effect.fnUntraced(function* (millis: number) {
        const { executor, observed, store } = yield* observe
        const slow = {
          ...store,
          claim: (options: TaskStore.ClaimOptions) => Effect.delay(store.claim(options), millis)
        }
        const { orchestrator } = yield* make({ config: { concurrency: 64 }, executor, store: layerOf(slow) })
        yield* store.add(Array.from({ length: 4000 }, (_, index) => lasting(`t${index}`, 1)))
        const run = yield* Effect.forkChild(orchestrator.run)
        while (!hasEnded(run)) yield* pass(10)
        return observed.most
      })
      assert.isAtMost(yield* mostAfter(0), 64 + 64)
      assert.isAtLeast(yield* mostAfter(3), 600)
    })
  )

  it.effect("while the workers still have half of those that were claimed before", () =>
    Effect.gen(function* () {
      const store = yield* memoryStore
      let claimed = 0
      let executed = 0
      const rest: Array<number> = []
      const observing: TaskStore.TaskStore["Service"] = {
        ...store,
        claim: (options) =>
          Effect.suspend(() => {
            if (claimed > 0 && claimed < 1000) rest.push(claimed - executed)
            return Effect.tap(store.claim(options), ({ length }) => Effect.sync(() => (claimed += length)))
          })
      }
      // Without waiting, so that the workers do all they have before the runtime turns to other fibers.
      const executor = Executor.layer(() =>
        Effect.sync(() => {
          executed++
          return Execution.make({ output: "x" })
        })
      )
      const config = { concurrency: 4, prefetch: 100 }
      const { orchestrator } = yield* make({ config, executor, store: layerOf(observing) })
      yield* store.add(numbered(1000))
      yield* orchestrator.run
      // Some claims wait until the store has taken the settlements.
      assert.isAtLeast(rest.filter((tasks) => tasks >= 45).length, 5)
    })
  )

  it.effect("until one takes longer", () =>
    Effect.gen(function* () {
      const { executor, observed, store } = yield* observe
      const { journal, orchestrator } = yield* make({ executor, store: layerOf(store) })
      yield* store.add([...numbered(50), lasting("long", 90, -1)])
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* pass(400)
      yield* store.add(Array.from({ length: 10 }, (_, index) => lasting(`later-${index}`, 90)))
      observed.most = 0
      yield* pass(500)
      assert.strictEqual(observed.most, 1)
      assert.isAbove(journal.of("TaskCompleted").length, 53)
      yield* orchestrator.stop
      yield* pass(100)
      yield* Fiber.join(run)
    })
  )

  it.effect("by the workers that are not held up by a long task", () =>
    Effect.gen(function* () {
      const { executor, observed, store } = yield* observe
      const config = { concurrency: 5, executionTimeout: "1 hour" } as const
      const { orchestrator } = yield* make({ config, executor, store: layerOf(store) })
      const stuck = Array.from({ length: 4 }, (_, index) => lasting(`stuck-${index}`, 60_000, 1))
      yield* store.add([...stuck, ...numbered(150)])
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(850)
      assert.isAtMost(observed.most, 4 + 15)
      for (const { id } of numbered(150)) assert.strictEqual(yield* numberOfAttempts(store, id), 1)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
    })
  )

  it.effect("and are not reported as started, and their attempts last no longer for that", () =>
    Effect.gen(function* () {
      const { executor, observed, store } = yield* observe
      const { journal, orchestrator } = yield* make({ executor, store: layerOf(store) })
      yield* store.add(numbered(60))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(200)
      assert.isAtLeast(observed.most, 8)
      const { tasksCompleted, tasksStarted } = yield* orchestrator.stats
      assert.isAtMost(tasksStarted - tasksCompleted, 1)
      assert.isAtMost(journal.of("TaskStarted").length - journal.of("TaskCompleted").length, 1)
      yield* pass(200)
      yield* Fiber.join(run)
      assert.deepStrictEqual(
        new Set(journal.of("TaskCompleted").map(({ durationMillis }) => durationMillis)),
        new Set([5])
      )
    })
  )
})

describe("tasks that were claimed ahead and wait behind a long one", () => {
  const prepare = Effect.gen(function* () {
    const store = yield* memoryStore
    const first = yield* make({ executor: timed, store: layerOf(store) })
    const quick = Array.from({ length: 40 }, (_, index) => lasting(`quick-${index}`, 5, 2))
    const behind = ["b0", "b1", "b2"].map((id) => lasting(id, 5))
    yield* store.add([...quick, lasting("long", 3000, 1), ...behind])
    const run = yield* Effect.forkChild(first.orchestrator.run)
    yield* pass(230)
    assert.deepStrictEqual((yield* store.counts).in_progress, 4)
    return { first, run, store }
  })

  it.effect("are released, and another worker takes them", () =>
    Effect.gen(function* () {
      const { first, run, store } = yield* prepare
      yield* pass(110)
      assert.deepStrictEqual((yield* store.counts).in_progress, 1)
      assert.strictEqual((yield* get(store, "b0")).attempts, 0)
      const second = yield* make({ executor: timed, store: layerOf(store) })
      const other = yield* Effect.forkChild(second.orchestrator.run)
      yield* pass(100)
      assert.strictEqual(second.journal.of("TaskCompleted").length, 3)
      assert.strictEqual((yield* get(store, "b0")).attempts, 1)
      yield* TestClock.adjust("3 seconds")
      const { stats } = yield* Fiber.join(run)
      yield* Fiber.join(other)
      assert.deepStrictEqual([stats.tasksCompleted, stats.tasksReleased], [41, 0])
      assert.strictEqual(first.journal.of("TaskReleased").length, 0)
    })
  )

  it.effect("are not claimed ahead again by the same run", () =>
    Effect.gen(function* () {
      const { run, store } = yield* prepare
      yield* pass(1000)
      assert.deepStrictEqual((yield* store.counts).in_progress, 1)
      assert.strictEqual(yield* numberOfAttempts(store, "b0"), 1)
      yield* TestClock.adjust("3 seconds")
      yield* pass(50)
      yield* Fiber.join(run)
      assert.strictEqual((yield* get(store, "b0")).attempts, 1)
    })
  )

  it.effect("stay claimed when their number was set", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { prefetch: 2 }, executor: timed })
      yield* store.add(["a", "b", "c", "d"].map((id) => lasting(id, 3000)))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* pass(1000)
      assert.deepStrictEqual((yield* store.counts).in_progress, 3)
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("3 seconds"), yields()), { times: 4 })
      yield* Fiber.join(run)
    })
  )
})

describe("claiming", () => {
  it.effect("waits while the store has not taken settlements, and is not woken up by each attempt that ends", () =>
    Effect.gen(function* () {
      const store = yield* memoryStore
      const claims = yield* Claims.make({ prefetch: 4, onCrash: "retry" }, () => 2, yield* Clock.Clock)
      yield* store.add(numbered(12))
      claims.begin().add(yield* store.claim({ limit: 12, owner: "worker", lease: Duration.minutes(1) }))
      const waiting = yield* Effect.forkChild(claims.awaitWakeUp, { startImmediately: true })
      const taken: Array<Claims.ClaimedTask> = []
      for (let count = 0; count < 12; count++) {
        const claimed = yield* claims.take
        claims.onTaken(claimed)
        claims.onFree(claimed)
        taken.push(claimed)
      }
      yield* yields()
      assert.deepStrictEqual([claims.room(), hasEnded(waiting)], [0, false])
      for (const claimed of taken) claims.remove(claimed)
      claims.wakeUp()
      yield* Fiber.join(waiting)
      assert.strictEqual(claims.room(), 6)
    })
  )
})
