import { assert, describe, it } from "@effect/vitest"
import { Effect, type Fiber, Latch, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  Executor,
  Orchestrator,
  Safety,
  Task,
  TaskStore,
  TaskStoreError,
  Verifier,
  Hooks
} from "@baton/core"
import { make, tasks } from "../harness.ts"

const memory = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)
const storeOf = (store: TaskStore.TaskStore["Service"]) => Layer.succeed(TaskStore.TaskStore, store)
const turns = (times = 300) => Effect.repeat(Effect.yieldNow, { times })
const unavailable = new TaskStoreError({ reason: "Unavailable", message: "connection refused" })
const unusable = new TaskStoreError({ reason: "Unusable", message: "the disk is full" })

/** Lets an hour go by, a little at a time. */
const anHour = Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), turns(20)), { times: 60 })
const ended = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() !== undefined

describe("shutdown ends within its timeouts", () => {
  it.effect("although a claim under way never answers", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const claiming = yield* Latch.make()
      const answer = yield* Latch.make()
      const { orchestrator } = yield* make({
        store: storeOf({ ...real, claim: () => Effect.andThen(claiming.open, Effect.as(answer.await, [])) })
      })
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* claiming.await
      yield* orchestrator.stop
      yield* anHour
      const inTime = ended(run)
      yield* answer.open
      assert.isTrue(inTime)
    })
  )

  it.effect("although an executor cannot be interrupted", () =>
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
      const inTime = ended(run)
      yield* gate.open
      assert.isTrue(inTime)
    })
  )

  it.effect("although the store takes no ends any more", () =>
    Effect.gen(function* () {
      const real = yield* memory
      let away = true
      const { orchestrator, store } = yield* make({
        store: storeOf({
          ...real,
          settle: (settlements) => Effect.suspend(() => (away ? Effect.fail(unavailable) : real.settle(settlements)))
        })
      })
      yield* store.add(tasks(..."abcdefghijklmnop"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* turns()
      yield* orchestrator.stop
      yield* anHour
      const inTime = ended(run)
      away = false
      yield* anHour
      assert.isTrue(inTime)
    })
  )

  it.effect("a store that is beyond use ends the run without waiting for what it can not take", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const { orchestrator, store } = yield* make({
        config: { concurrency: 4 },
        store: storeOf({ ...real, settle: () => Effect.fail(unusable) })
      })
      yield* store.add(tasks(..."abcdefghijklmnopqrstuvwxyz"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* anHour
      assert.isTrue(ended(run))
    })
  )
})

describe("once a stop was asked for", () => {
  it.effect("nothing starts, also not what a claim under way brings", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const claiming = yield* Latch.make()
      const answer = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        store: storeOf({
          ...real,
          claim: (options) => Effect.andThen(claiming.open, Effect.andThen(answer.await, real.claim(options)))
        })
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* claiming.await
      yield* orchestrator.stop
      yield* turns()
      yield* answer.open
      yield* anHour
      assert.isTrue(ended(run))
      assert.strictEqual(journal.of("TaskStarted").length, 0)
      const { in_progress, pending } = yield* store.counts
      assert.deepStrictEqual([pending, in_progress], [2, 0])
    })
  )
})

describe("no event is lost at the end", () => {
  it.effect("although the hooks are slower than the work", () =>
    Effect.gen(function* () {
      const count = 2070
      const gate = yield* Latch.make()
      const seen: Array<string> = []
      const done = yield* Queue.unbounded<void>()
      const context = yield* Layer.build(
        Orchestrator.layer({ concurrency: count }).pipe(
          Layer.provide([
            Executor.layerFake(),
            Verifier.layerAlwaysPass,
            Safety.layerAllowAll,
            Hooks.layer((event) =>
              Effect.andThen(
                gate.await,
                Effect.sync(() => {
                  seen.push(event._tag)
                  if (event._tag === "RunEnded") Queue.offerUnsafe(done, undefined)
                })
              )
            )
          ]),
          Layer.provideMerge(TaskStore.layerMemory)
        )
      )
      const orchestrator = yield* Effect.provide(Orchestrator.Orchestrator, context)
      const store = yield* Effect.provide(TaskStore.TaskStore, context)
      yield* store.add(Array.from({ length: count }, (_, index) => Task.make({ id: `t${index}`, description: "x" })))
      yield* Effect.forkChild(orchestrator.run)
      yield* turns(20_000)
      yield* gate.open
      yield* Queue.take(done)
      assert.strictEqual(seen.filter((tag) => tag === "TaskStarted").length, count)
      assert.strictEqual(seen.filter((tag) => tag === "TaskCompleted").length, count)
    })
  )
})
