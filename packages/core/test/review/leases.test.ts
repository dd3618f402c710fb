import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Latch, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Execution, ExecutionError, Executor, RetryPolicy, TaskStore, TaskStoreError } from "@baton/core"
import { get, make, tasks } from "../harness.ts"

const memory = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)
const storeOf = (store: TaskStore.TaskStore["Service"]) => Layer.succeed(TaskStore.TaskStore, store)
const turns = (times = 300) => Effect.repeat(Effect.yieldNow, { times })
const failed = new ExecutionError({ reason: "Failed", message: "no" })
const unavailable = new TaskStoreError({ reason: "Unavailable", message: "connection refused" })

describe("a worker that is alive", () => {
  it.effect("does not take its own work for that of a dead one after an outage longer than the lease", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memory
      let away = false
      // The outage ends with the call of the intake, which is as likely to come first as the heartbeat's.
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" }))),
        store: storeOf({
          ...real,
          extend: (leases, lease) =>
            Effect.suspend(() => (away ? Effect.fail(unavailable) : real.extend(leases, lease))),
          claim: (options) =>
            Effect.suspend(() => {
              away = false
              return real.claim(options)
            })
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* turns()
      away = true
      yield* TestClock.adjust("31 seconds")
      yield* turns()
      const reclaimed = journal.of("LeaseReclaimed").length
      yield* gate.open
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(reclaimed, 0)
      assert.deepStrictEqual([summary.stats.executions, summary.stats.leasesLost], [1, 0])
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("does not work on a task twice at the same time when it took its own lease back", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memory
      let away = false
      let running = 0
      let most = 0
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 5 },
        executor: Executor.layer(() =>
          Effect.ensuring(
            Effect.suspend(() => {
              most = Math.max(most, ++running)
              return Effect.as(gate.await, Execution.make({ output: "x" }))
            }),
            Effect.sync(() => running--)
          )
        ),
        store: storeOf({
          ...real,
          extend: (leases, lease) =>
            Effect.suspend(() => (away ? Effect.fail(unavailable) : real.extend(leases, lease)))
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      away = true
      yield* TestClock.adjust("31 seconds")
      yield* turns()
      away = false
      yield* gate.open
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.strictEqual(most, 1)
    })
  )

  it.effect("counts a task as completed when the answer to its settlement got lost", () =>
    Effect.gen(function* () {
      const real = yield* memory
      let lost = false
      const { journal, orchestrator, store } = yield* make({
        store: storeOf({
          ...real,
          settle: (settlements) =>
            Effect.flatMap(real.settle(settlements), (reply) => {
              if (lost) return Effect.succeed(reply)
              lost = true
              return Effect.fail(unavailable)
            })
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("StoreUnavailable")
      yield* TestClock.adjust("10 seconds")
      const summary = yield* Fiber.join(run)
      assert.strictEqual((yield* get(store, "a")).status, "completed")
      assert.deepStrictEqual([summary.stats.tasksCompleted, summary.stats.leasesLost], [1, 0])
      assert.deepStrictEqual(journal.tags().slice(-2), ["TaskCompleted", "RunEnded"])
    })
  )
})

describe("a task that is held three times", () => {
  it.effect("does not make its last attempt wait for ever for a former one's end to be told", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const [lateWork, answer] = [yield* Latch.make(), yield* Latch.make()]
      let settles = 0
      // A worker that was frozen: its lease ended and it does not know yet.
      let frozen = true
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 3, maxAttempts: 9, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_task, { attempt }) => {
          if (attempt === 1) return Effect.andThen(lateWork.await, Effect.fail(failed))
          return attempt === 2 ? Effect.fail(failed) : Effect.succeed(Execution.make({ output: "x" }))
        }),
        store: storeOf({
          ...real,
          extend: (leases, lease) =>
            Effect.suspend(() => (frozen ? Effect.succeed({ lost: [] }) : real.extend(leases, lease))),
          settle: (settlements) => Effect.tap(real.settle(settlements), ++settles === 1 ? answer.await : Effect.void)
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("31 seconds")
      yield* turns()
      frozen = false
      yield* lateWork.open
      yield* turns()
      yield* answer.open
      yield* turns()
      for (let minutes = 0; minutes < 5; minutes++) {
        yield* TestClock.adjust("1 minute")
        yield* turns(50)
      }
      const ended = run.pollUnsafe()?._tag
      yield* orchestrator.stop
      yield* TestClock.adjust("10 minutes")
      yield* turns()
      assert.strictEqual(ended, "Success")
    })
  )
})

describe("the order of events", () => {
  it.effect("tells of an attempt's end before the next attempt's start, also when the store answers late", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ failures: 2 }),
        store: storeOf({ ...real, settle: (settlements) => Effect.tap(real.settle(settlements), turns(100)) })
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(journal.tags(), [
        "RunStarted",
        "TaskStarted",
        "TaskRetried",
        "TaskStarted",
        "TaskRetried",
        "TaskStarted",
        "TaskCompleted",
        "RunEnded"
      ])
    })
  )
})

describe("drained", () => {
  it.effect("is not said while a task that was given back in a pause may be claimed again", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memory
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" }))),
        store: storeOf({ ...real, settle: (settlements) => Effect.tap(real.settle(settlements), turns(100)) })
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      for (let times = 0; times < 5; times++) {
        yield* orchestrator.pause
        yield* turns(times * 20)
        yield* orchestrator.resume
        yield* turns(times * 20)
      }
      yield* gate.open
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.counts.completed, summary.stats.tasksCompleted], [3, 3])
      assert.strictEqual(summary.stats.leasesLost, 0)
    })
  )

  it.effect("waits for a task that another worker holds", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      const [other] = yield* store.claim({ limit: 1, owner: "other", lease: Duration.minutes(1) })
      if (other === undefined) return assert.fail("not claimed")
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("RunStarted")
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(run.pollUnsafe())
      yield* store.settle([
        { _tag: "Release", taskId: other.task.id, token: other.token, reason: "bye", attemptUsage: null, usage: null }
      ])
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 1)
    })
  )
})
