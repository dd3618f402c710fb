import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, References } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, Safety, TaskStoreError } from "@baton/core"
import { get, layerOf, make, memoryStore, tasks, yields } from "./harness.ts"

describe("pause and resume", () => {
  it.effect("pause lets running tasks finish, releases the others, and starts nothing until resume", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { prefetch: 2 },
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" })))
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.pause
      assert.strictEqual(yield* orchestrator.state, "paused")
      yield* gate.open
      yield* journal.next("TaskCompleted")
      assert.deepStrictEqual([(yield* get(store, "b")).status, (yield* get(store, "b")).attempts], ["pending", 0])
      assert.strictEqual(journal.of("TaskStarted").length, 1)
      yield* orchestrator.resume
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 3)
    })
  )

  it.effect("a run receives requests to pause, resume and stop through its store", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("RunStarted")
      yield* store.request("pause")
      yield* journal.next("Paused")
      yield* store.add(tasks("a"))
      yield* store.request("resume")
      yield* journal.next("TaskCompleted")
      yield* store.request("stop")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.reason._tag, "Stopped")
    })
  )
})

describe("nothing starts during a pause", () => {
  it.effect("even if a claim is under way when it begins", () =>
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
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* claiming.await
      yield* orchestrator.pause
      yield* answer.open
      yield* yields()
      const started = journal.of("TaskStarted").length
      const { status } = yield* get(store, "a")
      yield* orchestrator.resume
      yield* Fiber.join(run)
      assert.strictEqual(started, 0)
      assert.strictEqual(status, "pending")
    })
  )

  it.effect("even if a cool-down ends", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layerFake({ success: false }),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 minute" })
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("CircuitOpened")
      yield* orchestrator.pause
      yield* TestClock.adjust("1 minute")
      yield* yields()
      const started = journal.of("TaskStarted").length
      yield* orchestrator.resume
      yield* yields()
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.strictEqual(started, 1)
    })
  )

  it.effect("even if the pause was requested through the store before the run, and the store answers late", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({ ...real, control: Effect.andThen(yields(50), real.control) })
      })
      yield* store.add(tasks("a", "b"))
      yield* store.request("pause")
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      const started = journal.of("TaskStarted").length
      yield* store.request("resume")
      yield* Fiber.join(run)
      assert.strictEqual(started, 0)
    })
  )
})

describe("a pause before a run", () => {
  it.effect("makes the run start paused, and resume starts it", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* orchestrator.pause
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields()
      assert.deepStrictEqual(journal.tags(), ["RunStarted", "Paused"])
      assert.strictEqual(yield* orchestrator.state, "paused")
      yield* orchestrator.resume
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
    })
  )

  it.effect("can be reverted by resume, and applies to one run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make()
      yield* store.add(tasks("a"))
      yield* orchestrator.pause
      yield* orchestrator.resume
      assert.strictEqual((yield* orchestrator.run).counts.completed, 1)
      yield* orchestrator.pause
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* yields()
      yield* orchestrator.stop
      yield* Fiber.join(run)
      yield* store.add(tasks("b"))
      assert.strictEqual((yield* orchestrator.run).counts.completed, 2)
    })
  )
})

describe("pause and resume at the same time", () => {
  it.effect("leave a run that reports to be running able to run, at any interleaving", () =>
    Effect.gen(function* () {
      const stuck: Array<number> = []
      for (let moment = 0; moment < 40; moment++) {
        const { journal, orchestrator, store } = yield* make()
        const run = yield* Effect.forkChild(orchestrator.runForever)
        yield* journal.next("RunStarted")
        const slowly = Effect.provideService(References.MaxOpsBeforeYield, 3)
        const pausing = yield* Effect.forkChild(slowly(orchestrator.pause))
        yield* yields(moment)
        const resuming = yield* Effect.forkChild(orchestrator.resume)
        yield* Fiber.join(pausing)
        yield* Fiber.join(resuming)
        yield* store.add(tasks("a"))
        yield* yields()
        const running = (yield* orchestrator.state) === "running"
        const completed = (yield* get(store, "a")).status === "completed"
        if (running !== completed) stuck.push(moment)
        yield* orchestrator.stop
        yield* Fiber.join(run)
      }
      assert.deepStrictEqual(stuck, [])
    })
  )

  it.effect("keep state and behaviour consistent if the pause is interrupted", () =>
    Effect.gen(function* () {
      const stuck: Array<number> = []
      for (let moment = 0; moment < 40; moment++) {
        const { journal, orchestrator, store } = yield* make()
        const run = yield* Effect.forkChild(orchestrator.runForever)
        yield* journal.next("RunStarted")
        const pausing = yield* Effect.forkChild(
          Effect.provideService(orchestrator.pause, References.MaxOpsBeforeYield, 3)
        )
        yield* yields(moment)
        yield* Fiber.interrupt(pausing)
        yield* store.add(tasks("a"))
        yield* yields()
        const running = (yield* orchestrator.state) === "running"
        const completed = (yield* get(store, "a")).status === "completed"
        if (running !== completed) stuck.push(moment)
        yield* orchestrator.stop
        yield* Fiber.join(run)
      }
      assert.deepStrictEqual(stuck, [])
    })
  )
})

describe("a pause in the moment in which the run ends", () => {
  it.effect("is published before the end or not at all", () =>
    Effect.gen(function* () {
      const late: Array<string> = []
      for (let moment = 0; moment < 120; moment++) {
        const { journal, orchestrator, store } = yield* make({
          executor: Executor.layer(() => Effect.as(yields(5), Execution.make({ output: "x" })))
        })
        yield* store.add(tasks("a"))
        const run = yield* Effect.forkChild(orchestrator.run)
        yield* yields(moment)
        const pausing = yield* Effect.provideService(orchestrator.pause, References.MaxOpsBeforeYield, 3).pipe(
          Effect.forkChild
        )
        yield* yields()
        yield* orchestrator.resume
        yield* Fiber.join(run)
        yield* Fiber.join(pausing)
        yield* yields(20)
        if (journal.tags().at(-1) !== "RunEnded") late.push(`${moment}: ${journal.tags().slice(-2).join(", ")}`)
        const state = yield* orchestrator.state
        if (state !== "stopped") late.push(`${moment}: ${state}`)
      }
      assert.deepStrictEqual(late, [])
    })
  )
})

describe("a pause while the store is away", () => {
  it.effect("does not keep a later run from starting or being paused", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      let away = true
      const { journal, orchestrator, store } = yield* make({
        store: layerOf({
          ...real,
          settle: (settlements) =>
            Effect.suspend(() =>
              away
                ? Effect.fail(new TaskStoreError({ reason: "Unavailable", message: "connection refused" }))
                : real.settle(settlements)
            )
        })
      })
      const minutes = (count: number) =>
        Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), yields(20)), { times: count })
      yield* store.add(tasks(..."abcdefghijklmnop"))
      const first = yield* Effect.forkDetach(orchestrator.run)
      yield* yields()
      const pausing = yield* Effect.forkDetach(orchestrator.pause)
      yield* yields()
      yield* orchestrator.stop
      yield* minutes(10)
      assert.isDefined(first.pollUnsafe())
      away = false
      yield* store.request("pause")
      const second = yield* Effect.forkDetach(orchestrator.run)
      yield* minutes(1)
      const states = [yield* orchestrator.state]
      yield* store.request("resume")
      yield* minutes(1)
      const ended = [pausing.pollUnsafe() !== undefined, second.pollUnsafe() !== undefined]
      yield* orchestrator.stop
      yield* minutes(10)
      assert.deepStrictEqual([states, ended], [["paused"], [true, true]])
      assert.isAbove(journal.of("TaskCompleted").length, 0)
    })
  )
})
