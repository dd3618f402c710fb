import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, TaskStoreError } from "@baton/core"
import { anHour, get, hasEnded, layerOf, make, memoryStore, numbered, tasks, unavailable, yields } from "./harness.ts"

const unusable = new TaskStoreError({ reason: "Unusable", message: "the disk is full" })

describe("stop", () => {
  it.effect("ignores a request from before the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.request("stop")
      yield* store.add(tasks("a"))
      assert.strictEqual((yield* orchestrator.run).reason._tag, "Drained")
    })
  )

  it.effect("accepts results within the drain timeout, and releases the other tasks", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, drainTimeout: "10 seconds" },
        executor: Executor.layer((task) =>
          task.id === "quick" ? Effect.as(gate.await, Execution.make({ output: "x" })) : Effect.never
        )
      })
      yield* store.add(tasks("quick", "hanging", "later"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* journal.next("TaskStarted")
      yield* orchestrator.stop
      yield* journal.next("Draining")
      yield* gate.open
      yield* journal.next("TaskCompleted")
      yield* TestClock.adjust("10 seconds")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.reason._tag, "Stopped")
      assert.deepStrictEqual([summary.counts.completed, summary.counts.pending, summary.counts.in_progress], [1, 2, 0])
      assert.strictEqual((yield* get(store, "hanging")).attempts, 0)
    })
  )

  it.effect("is what an interruption of the run does as well", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { drainTimeout: "5 seconds" },
        executor: Executor.layer(() => Effect.never)
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      const interruption = yield* Effect.forkChild(Fiber.interrupt(run))
      yield* journal.next("Draining")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(interruption)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(run)))
      const task = yield* get(store, "a")
      assert.deepStrictEqual([task.status, task.attempts], ["pending", 0])
      assert.deepInclude(journal.events.at(-1), { _tag: "RunEnded", reason: { _tag: "Interrupted" } })
    })
  )
})

describe("a run that is interrupted", () => {
  it.effect("at any moment leaves nothing in progress, and the orchestrator able to run again", () =>
    Effect.gen(function* () {
      const broken: Array<string> = []
      for (let moment = 0; moment < 150; moment++) {
        const { journal, orchestrator, store } = yield* make({
          config: { concurrency: 2, drainTimeout: 0, ...(moment % 2 === 0 ? { prefetch: 2 } : undefined) },
          executor: Executor.layer(() => Effect.as(yields(5), Execution.make({ output: "x" })))
        })
        yield* store.add(tasks("a", "b", "c", "d"))
        const run = yield* Effect.forkChild(Effect.provideService(orchestrator.run, References.MaxOpsBeforeYield, 3))
        yield* yields(moment)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(run))
        yield* yields()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(interrupting)
        const state = yield* orchestrator.state
        const { in_progress } = yield* store.counts
        if (in_progress > 0) broken.push(`${moment}: ${in_progress} in progress`)
        if (state === "running") broken.push(`${moment}: state ${state}`)
        if (journal.of("RunStarted").length !== journal.of("RunEnded").length) {
          broken.push(`${moment}: ${journal.tags().join(" ")}`)
        }
        const again = yield* Effect.result(orchestrator.run)
        if (again._tag === "Failure") broken.push(`${moment}: ${again.failure.message}`)
        else if (again.success.counts.completed !== 4) broken.push(`${moment}: ${JSON.stringify(again.success.counts)}`)
      }
      assert.deepStrictEqual(broken, [])
    })
  )
})

describe("shutdown ends within its timeouts", () => {
  it.effect("even if a claim never answers", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const claiming = yield* Latch.make()
      const answer = yield* Latch.make()
      const { orchestrator } = yield* make({
        store: layerOf({ ...real, claim: () => Effect.andThen(claiming.open, Effect.as(answer.await, [])) })
      })
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* claiming.await
      yield* orchestrator.stop
      yield* anHour
      const inTime = hasEnded(run)
      yield* answer.open
      assert.isTrue(inTime)
    })
  )

  it.effect("even if an executor cannot be interrupted", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.uninterruptible(Effect.as(gate.await, Execution.make({ output: "x" }))))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.stop
      yield* anHour
      const inTime = hasEnded(run)
      yield* gate.open
      assert.isTrue(inTime)
    })
  )

  it.effect("even if the store accepts no settlements", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      let away = true
      const { orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          settle: (settlements) => Effect.suspend(() => (away ? Effect.fail(unavailable) : real.settle(settlements)))
        })
      })
      yield* store.add(tasks(..."abcdefghijklmnop"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* yields()
      yield* orchestrator.stop
      yield* anHour
      const inTime = hasEnded(run)
      away = false
      yield* anHour
      assert.isTrue(inTime)
    })
  )

  it.effect("even if the store is unusable", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        store: layerOf({ ...real, settle: () => Effect.fail(unusable) })
      })
      yield* store.add(tasks(..."abcdefghijklmnopqrstuvwxyz"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* anHour
      assert.isTrue(hasEnded(run))
    })
  )

  it.effect("even if a subscriber that must not lose events stops reading", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 } })
      yield* store.add(numbered(12_000))
      const subscriber = yield* Effect.forkDetach(
        Stream.runForEach(orchestrator.events({ strategy: "suspend" }), () => Effect.never),
        { startImmediately: true }
      )
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* yields(20_000)
      assert.isFalse(hasEnded(run))
      yield* orchestrator.stop
      yield* yields(2000)
      // Without any time passing.
      assert.isTrue(hasEnded(run))
      yield* Fiber.interrupt(subscriber)
    })
  )
})

describe("after a stop was requested", () => {
  it.effect("nothing starts, even if a claim is under way", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const claiming = yield* Latch.make()
      const answer = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          claim: (options) => Effect.andThen(claiming.open, Effect.andThen(answer.await, real.claim(options)))
        })
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* claiming.await
      yield* orchestrator.stop
      yield* yields()
      yield* answer.open
      yield* anHour
      assert.isTrue(hasEnded(run))
      assert.strictEqual(journal.of("TaskStarted").length, 0)
      const { in_progress, pending } = yield* store.counts
      assert.deepStrictEqual([pending, in_progress], [2, 0])
    })
  )
})
