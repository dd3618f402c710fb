import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Latch, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, RetryPolicy, Task, TaskStore, TaskStoreError, Verification, Verifier } from "@baton/core"
import { get, make, tasks } from "./harness.ts"

const id = Task.TaskId.make

/** A memory store whose methods can be replaced while it runs. */
const faulty = (overrides: Partial<TaskStore.TaskStore["Service"]>) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.map(TaskStore.TaskStore, (store) => ({ ...store, ...overrides }))
  ).pipe(Layer.provide(TaskStore.layerMemory))

/** A memory store that a test can wrap. */
const memory = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)

const unavailable = new TaskStoreError({ reason: "Unavailable", message: "connection refused" })
const unusable = new TaskStoreError({ reason: "Unusable", message: "the file is corrupt" })

describe("leases", () => {
  it.effect("a heartbeat keeps the lease of long work", () =>
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

  it.effect("a lease that another worker took over interrupts the work, and nothing of it is written", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const real = yield* memory
      let cut = true
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        ),
        store: Layer.succeed(TaskStore.TaskStore, {
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

  it.effect("what was claimed ahead is not started when its lease ended in an outage", () =>
    Effect.gen(function* () {
      const executed: Array<string> = []
      const gate = yield* Latch.make()
      const real = yield* memory
      let cut = false
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(({ id }) =>
          Effect.sync(() => executed.push(id)).pipe(
            Effect.andThen(gate.await),
            Effect.as(Execution.make({ output: "x" }))
          )
        ),
        store: Layer.succeed(TaskStore.TaskStore, {
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

  it.effect("a result that comes after its lease was lost is not accepted, and is said to be late", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        // Cannot be interrupted, as a frozen process cannot.
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
      assert.deepStrictEqual([task.status, task.result], ["cancelled", null])
      yield* orchestrator.stop
      yield* Fiber.join(run)
    })
  )

  it.effect("takes over the task of a worker that died, after its lease, and verifies what it had saved", () =>
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
      yield* store.checkpoint([{ ...lease, execution: Execution.make({ output: "paid for" }), usage: null }])
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

  it.effect("with onCrash dead-letter a task whose worker died is not run again by itself", () =>
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

  it.effect("a rejected checkpoint is executed anew by the next attempt", () =>
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
      yield* store.checkpoint([{ ...lease, execution: Execution.make({ output: "bad" }), usage: null }])
      const summary = yield* orchestrator.run
      assert.deepStrictEqual([summary.stats.executions, summary.stats.tasksCompleted], [1, 1])
    })
  )
})

describe("a store in trouble", () => {
  it.effect("one that does not answer for a while does not end a run, and it is said once", () =>
    Effect.gen(function* () {
      let refused = 0
      const real = yield* memory
      const { journal, orchestrator, store } = yield* make({
        store: Layer.succeed(TaskStore.TaskStore, {
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

  it.effect("one that is beyond use ends the run with its sentence", () =>
    Effect.gen(function* () {
      const { orchestrator } = yield* make({ store: faulty({ claim: () => Effect.fail(unusable) }) })
      assert.strictEqual((yield* Effect.flip(orchestrator.run)).message, "the file is corrupt")
    })
  )

  it.effect("tells that a task is completed after the store has made that durable, and not before", () =>
    Effect.gen(function* () {
      const writing = yield* Latch.make()
      const written = yield* Latch.make()
      const real = yield* memory
      const { journal, orchestrator, store } = yield* make({
        store: Layer.succeed(TaskStore.TaskStore, {
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

  it.effect("a row that it cannot take fails alone: the rest of its batch is settled", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        store: Layer.succeed(TaskStore.TaskStore, {
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
