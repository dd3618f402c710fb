import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Latch, Layer } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  Task,
  TaskStore,
  TaskStoreError,
  Verification,
  Verifier
} from "@baton/core"
import { get, hasEnded, layerOf, make, memoryStore, numbered, tasks, unavailable, yields } from "./harness.ts"

const unusable = new TaskStoreError({ reason: "Unusable", message: "the file is corrupt" })
const failed = new ExecutionError({ reason: "Failed", message: "no" })
const id = Task.TaskId.make

/** A memory store whose methods can be replaced while it runs. */
const faulty = (overrides: Partial<TaskStore.TaskStore["Service"]>) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.map(TaskStore.TaskStore, (store) => ({ ...store, ...overrides }))
  ).pipe(Layer.provide(TaskStore.layerMemory))

describe("leases", () => {
  it.effect("a heartbeat keeps the lease of a long task", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" })))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      for (let beats = 0; beats < 20; beats++) {
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* store.sweep({ maxAttempts: 3, onCrash: "retry" }), [])
      }
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 1)
    })
  )

  it.effect("cancelling a running task interrupts its work at once", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      assert.deepStrictEqual(yield* store.cancel({ ids: [id("a")] }), [id("a")])
      yield* Deferred.await(interrupted)
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.counts.cancelled, 1)
      assert.strictEqual(journal.of("TaskCancelled").length, 1)
      assert.strictEqual(summary.stats.leasesLost, 0)
    })
  )

  it.effect("a task that another worker took over is interrupted, and nothing of it is written", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const real = yield* memoryStore
      let cut = true
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        ),
        store: layerOf({
          ...real,
          extend: (leases, lease) =>
            Effect.suspend(() => (cut ? Effect.fail(unavailable) : real.extend(leases, lease))),
          sweep: () => Effect.succeed([])
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* real.sweep({ maxAttempts: 3, onCrash: "retry" })).length, 1)
      const [other] = yield* real.claim({ limit: 1, owner: "other", lease: Duration.minutes(5) })
      if (other === undefined) return assert.fail("not claimed")
      cut = false
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.await(interrupted)
      yield* journal.next("LeaseLost")
      const task = yield* get(store, "a")
      assert.deepStrictEqual([task.status, task.attempts], ["in_progress", 2])
      yield* orchestrator.stop
      assert.strictEqual((yield* Fiber.join(run)).stats.leasesLost, 1)
    })
  )

  it.effect("a task that was claimed ahead is not started if its lease ended in an outage", () =>
    Effect.gen(function* () {
      const executed: Array<string> = []
      const gate = yield* Latch.make()
      const real = yield* memoryStore
      let cut = false
      const { journal, orchestrator, store } = yield* make({
        config: { prefetch: 1 },
        executor: Executor.layer(({ id }) =>
          Effect.sync(() => executed.push(id)).pipe(
            Effect.andThen(gate.await),
            Effect.as(Execution.make({ output: "x" }))
          )
        ),
        store: layerOf({
          ...real,
          extend: (leases, lease) =>
            Effect.suspend(() => (cut ? Effect.fail(unavailable) : real.extend(leases, lease))),
          sweep: () => Effect.succeed([])
        })
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("TaskStarted")
      cut = true
      yield* TestClock.adjust("31 seconds")
      yield* real.sweep({ maxAttempts: 3, onCrash: "retry" })
      const others = yield* real.claim({ limit: 2, owner: "other", lease: Duration.minutes(5) })
      assert.strictEqual(others.length, 2)
      cut = false
      yield* gate.open
      yield* journal.next("LeaseLost")
      yield* TestClock.adjust("10 seconds")
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.deepStrictEqual(executed, ["a"])
    })
  )

  it.effect("a result after the end of its lease is not accepted, and is reported as late", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        // Cannot be interrupted, like a frozen process.
        executor: Executor.layer(() =>
          Effect.uninterruptible(Effect.as(gate.await, Execution.make({ output: "late" })))
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("TaskStarted")
      yield* store.cancel({ ids: [id("a")] })
      yield* gate.open
      yield* journal.next("TaskCancelled")
      const task = yield* get(store, "a")
      assert.deepStrictEqual([task.status, task.result], ["cancelled", undefined])
      yield* orchestrator.stop
      yield* Fiber.join(run)
    })
  )

  it.effect("takes over the task of a dead worker after its lease, and verifies its saved output", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.die("must not be executed")),
        verifier: Verifier.layer((_task, { output }) =>
          Effect.succeed(output === "paid for" ? Verification.pass() : Verification.reject("wrong"))
        )
      })
      yield* store.add(tasks("a"))
      const [dead] = yield* store.claim({ limit: 1, owner: "dead", lease: Duration.seconds(30) })
      if (dead === undefined) return assert.fail("not claimed")
      const lease = { taskId: dead.task.id, token: dead.token }
      yield* store.checkpoint([{ ...lease, execution: Execution.make({ output: "paid for" }) }])
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("RunStarted")
      yield* TestClock.adjust("31 seconds")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.stats.executions, summary.stats.tasksCompleted], [0, 1])
      assert.deepInclude(journal.of("LeaseReclaimed")[0], { status: "pending", attempt: 1 })
      assert.deepInclude(journal.of("TaskStarted")[0], { resumed: true, attempt: 2 })
      assert.strictEqual((yield* get(store, "a")).result, "paid for")
    })
  )

  it.effect("with onCrash: dead-letter, the task of a dead worker is not run again", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({ config: { onCrash: "dead-letter" } })
      yield* store.add(tasks("a"))
      yield* store.claim({ limit: 1, owner: "dead", lease: Duration.seconds(30) })
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("RunStarted")
      yield* TestClock.adjust("31 seconds")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.stats.executions, summary.counts.failed], [0, 1])
    })
  )

  it.effect("the next attempt executes a task whose checkpoint was rejected", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "better" }))),
        verifier: Verifier.layer((_task, { output }) =>
          Effect.succeed(output === "better" ? Verification.pass() : Verification.reject("wrong"))
        )
      })
      yield* store.add(tasks("a"))
      const [dead] = yield* store.claim({ limit: 1, owner: "dead", lease: Duration.zero })
      if (dead === undefined) return assert.fail("not claimed")
      const lease = { taskId: dead.task.id, token: dead.token }
      yield* store.checkpoint([{ ...lease, execution: Execution.make({ output: "bad" }) }])
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.stats.executions, summary.stats.tasksCompleted], [1, 1])
    })
  )
})

describe("a worker that is alive", () => {
  it.effect("does not take back its own tasks after an outage longer than the lease", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memoryStore
      let away = false
      // The outage ends with a claim, which is as likely to come first as the heartbeat.
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" }))),
        store: layerOf({
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
      yield* yields()
      away = true
      yield* TestClock.adjust("31 seconds")
      yield* yields()
      const reclaimed = journal.of("LeaseReclaimed").length
      yield* gate.open
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(reclaimed, 0)
      assert.deepStrictEqual([summary.stats.executions, summary.stats.leasesLost], [1, 0])
      assert.strictEqual((yield* get(store, "a")).attempts, 1)
    })
  )

  it.effect("does not run a task twice at the same time after it took its own lease back", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memoryStore
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
        store: layerOf({
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
      yield* yields()
      away = false
      yield* gate.open
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.strictEqual(most, 1)
    })
  )

  it.effect("counts a task as completed if the answer to its settlement was lost", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      let lost = false
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
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

describe("a task that is claimed three times", () => {
  it.effect("does not make its last attempt wait forever for an earlier one", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const [lateWork, answer] = [yield* Latch.make(), yield* Latch.make()]
      let settles = 0
      // A worker that was frozen and has not noticed that its lease ended.
      let frozen = true
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 3, maxAttempts: 9, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer((_task, { attempt }) => {
          if (attempt === 1) return Effect.andThen(lateWork.await, Effect.fail(failed))
          return attempt === 2 ? Effect.fail(failed) : Effect.succeed(Execution.make({ output: "x" }))
        }),
        store: layerOf({
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
      yield* yields()
      frozen = false
      yield* lateWork.open
      yield* yields()
      yield* answer.open
      yield* yields()
      for (let minutes = 0; minutes < 5; minutes++) {
        yield* TestClock.adjust("1 minute")
        yield* yields(50)
      }
      const ended = run.pollUnsafe()?._tag
      yield* orchestrator.stop
      yield* TestClock.adjust("10 minutes")
      yield* yields()
      assert.strictEqual(ended, "Success")
    })
  )
})

describe("a run", () => {
  it.effect("is not drained while a task that was released in a pause may be claimed again", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        config: { prefetch: 2 },
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" }))),
        store: layerOf({ ...real, settle: (settlements) => Effect.tap(real.settle(settlements), yields(100)) })
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      for (let times = 0; times < 5; times++) {
        yield* orchestrator.pause
        yield* yields(times * 20)
        yield* orchestrator.resume
        yield* yields(times * 20)
      }
      yield* gate.open
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual([summary.counts.completed, summary.stats.tasksCompleted], [3, 3])
      assert.strictEqual(summary.stats.leasesLost, 0)
    })
  )

  it.effect("is not drained while another worker runs a task", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      const [other] = yield* store.claim({ limit: 1, owner: "other", lease: Duration.minutes(1) })
      if (other === undefined) return assert.fail("not claimed")
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("RunStarted")
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(run.pollUnsafe())
      yield* store.settle([{ _tag: "Release", taskId: other.task.id, token: other.token, reason: "bye" }])
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 1)
    })
  )
})

describe("an idle worker among others", () => {
  it.effect("starts a new task at once, even if others were often faster before", () =>
    Effect.gen(function* () {
      const real = yield* Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
        Effect.provide(TaskStore.TaskStore, context)
      )
      let othersAreFaster = true
      const claim: typeof real.claim = Effect.fnUntraced(function* (options) {
        if (!othersAreFaster) return yield* real.claim(options)
        const claims = yield* real.claim({ ...options, owner: "other" })
        yield* real.settle(
          claims.map(({ task, token }) => ({
            _tag: "Complete",
            taskId: task.id,
            token,
            execution: Execution.make({ output: "x" }),
            verified: false
          }))
        )
        return []
      })
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({ ...real, claim })
      })
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("RunStarted")
      yield* yields()
      for (let index = 0; index < 20; index++) {
        yield* store.add(tasks(`t${index}`))
        yield* yields()
        yield* TestClock.adjust("1 minute")
        yield* yields()
      }
      assert.strictEqual((yield* store.counts).completed, 20)
      // The others take one more task, and the next one is for this worker.
      yield* store.add(tasks("theirs"))
      yield* yields()
      othersAreFaster = false
      yield* store.add(tasks("ours"))
      yield* yields()
      const started = journal.of("TaskStarted").length
      yield* orchestrator.stop
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.strictEqual(started, 1)
    })
  )
})

describe("a store with problems", () => {
  it.effect("does not end a run by an outage, which is reported once", () =>
    Effect.gen(function* () {
      let refused = 0
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          settle: (settlements) =>
            Effect.suspend(() => (++refused <= 3 ? Effect.fail(unavailable) : real.settle(settlements)))
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("StoreUnavailable")
      for (let waited = 0; waited < 5; waited++) yield* TestClock.adjust("5 seconds")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.stats.tasksCompleted, 1)
      assert.strictEqual(journal.of("StoreUnavailable").length, 1)
    })
  )

  it.effect("ends the run with its message if it is unusable", () =>
    Effect.gen(function* () {
      const { orchestrator } = yield* make({ store: faulty({ claim: () => Effect.fail(unusable) }) })
      assert.strictEqual((yield* Effect.flip(orchestrator.run)).message, "the file is corrupt")
    })
  )

  it.effect("has made a completed task durable before its event is published", () =>
    Effect.gen(function* () {
      const writing = yield* Latch.make()
      const written = yield* Latch.make()
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          settle: (settlements) => Effect.andThen(writing.open, Effect.andThen(written.await, real.settle(settlements)))
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* writing.await
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(journal.of("TaskCompleted"), [])
      yield* written.open
      yield* Fiber.join(run)
      assert.strictEqual(journal.of("TaskCompleted").length, 1)
    })
  )

  it.effect("refuses a row alone: the rest of its batch is settled", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        store: layerOf({
          ...real,
          settle: (settlements) =>
            settlements.some((settlement) => settlement._tag === "Complete" && settlement.taskId === "poison")
              ? Effect.fail(new TaskStoreError({ reason: "Unusable", message: "cannot encode" }))
              : real.settle(settlements)
        })
      })
      yield* store.add(tasks("a", "poison", "b", "c"))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.counts.completed, summary.counts.failed], [3, 1])
      assert.include((yield* get(store, "poison")).feedback, "could not be stored: cannot encode")
    })
  )
})

describe("a store", () => {
  it.effect("gets the settlements of a claim in one call if its tasks end at the same time", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const sizes: Array<number> = []
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4, prefetch: 8 },
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "x" }))),
        store: layerOf({
          ...real,
          settle: (settlements) => {
            sizes.push(settlements.length)
            return Effect.andThen(Effect.sleep("10 millis"), real.settle(settlements))
          }
        })
      })
      yield* store.add(numbered(12))
      const run = yield* Effect.forkChild(orchestrator.run)
      while (!hasEnded(run)) yield* Effect.andThen(TestClock.adjust("10 millis"), yields())
      assert.deepStrictEqual(sizes, [12])
    })
  )
})
