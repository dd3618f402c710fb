import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Executor, RetryPolicy } from "@baton/core"
import { layerOf, make, memoryStore, tasks, yields } from "./harness.ts"

describe("the order of events", () => {
  it.effect("tells of an attempt's end before the next attempt's start, also when the store answers late", () =>
    Effect.gen(function* () {
      const real = yield* memoryStore
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layerFake({ failures: 2 }),
        store: layerOf({ ...real, settle: (settlements) => Effect.tap(real.settle(settlements), yields(100)) })
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

describe("subscribers", () => {
  it.effect("the event stream carries what hooks get", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      const collected = yield* Effect.forkChild(
        Stream.runCollect(Stream.takeUntil(orchestrator.events, ({ _tag }) => _tag === "RunEnded")),
        { startImmediately: true }
      )
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(yield* Fiber.join(collected), journal.events)
    })
  )
})
