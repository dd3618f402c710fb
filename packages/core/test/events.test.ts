import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope, Stream } from "effect"
import { type Event, Executor, type Orchestrator, RetryPolicy } from "@baton/core"
import { hasEnded, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

describe("the order of events", () => {
  it.effect("has the end of an attempt before the start of the next one, even if the store answers late", () =>
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
  const isEnd = ({ _tag }: Event.Event) => _tag === "RunEnded"

  it.effect("receive the same events as hooks", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make()
      const collected = yield* Effect.forkChild(Stream.runCollect(Stream.takeUntil(orchestrator.events(), isEnd)), {
        startImmediately: true
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(yield* Fiber.join(collected), journal.events)
    })
  )

  it.effect("do not halt the run when they stop reading", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 } })
      yield* store.add(numbered(12_000))
      const stalled = yield* Effect.forkChild(
        Stream.runForEach(orchestrator.events(), () => Effect.never),
        { startImmediately: true }
      )
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields(60_000)
      assert.isTrue(hasEnded(run))
      assert.strictEqual((yield* Fiber.join(run)).stats.tasksCompleted, 12_000)
      yield* Fiber.interrupt(stalled)
    })
  )

  /** The events of a subscriber that reads nothing until the run has ended. */
  const readLate = Effect.fnUntraced(function* (options: Orchestrator.EventsOptions) {
    const { journal, orchestrator, store } = yield* make()
    yield* store.add(numbered(20))
    const gate = yield* Latch.make()
    const reading = yield* orchestrator.events(options).pipe(
      Stream.rechunk(1),
      Stream.tap(() => gate.await),
      Stream.takeUntil(isEnd),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true })
    )
    const run = yield* Effect.forkChild(orchestrator.run)
    yield* yields(2000)
    const ended = hasEnded(run)
    yield* gate.open
    yield* Fiber.join(run)
    yield* yields()
    const read = reading.pollUnsafe()
    return { all: journal.events, ended, read: read?._tag === "Success" ? read.value : undefined }
  })

  it.effect("lose the oldest events by default", () =>
    Effect.gen(function* () {
      const { all, ended, read } = yield* readLate({ capacity: 4 })
      assert.isTrue(ended)
      // The subscriber has read some events before it stopped.
      assert.deepStrictEqual(read?.slice(-4), all.slice(-4))
      assert.isBelow(read?.length ?? 0, all.length)
    })
  )

  it.effect("lose the newest events with the strategy dropping", () =>
    Effect.gen(function* () {
      const { all, ended, read } = yield* readLate({ capacity: 4, strategy: "dropping" })
      assert.isTrue(ended)
      assert.isUndefined(read)
      assert.isAbove(all.length, 4)
    })
  )

  it.effect("lose nothing with the strategy suspend", () =>
    Effect.gen(function* () {
      const { all, read } = yield* readLate({ capacity: 4, strategy: "suspend" })
      assert.deepStrictEqual(read, all)
    })
  )

  it.effect("make the run wait for them with the strategy suspend", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 } })
      yield* store.add(numbered(12_000))
      const gate = yield* Latch.make()
      const seen: Array<string> = []
      const reading = yield* orchestrator.events({ capacity: 100, strategy: "suspend" }).pipe(
        Stream.takeUntil(isEnd),
        Stream.runForEach(({ _tag }) =>
          Effect.andThen(
            gate.await,
            Effect.sync(() => void seen.push(_tag))
          )
        ),
        Effect.forkChild({ startImmediately: true })
      )
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields(20_000)
      assert.isFalse(hasEnded(run))
      yield* gate.open
      yield* Fiber.join(run)
      yield* Fiber.join(reading)
      assert.strictEqual(seen.filter((tag) => tag === "TaskCompleted").length, 12_000)
    })
  )

  it.effect("end with the scope of the layer", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { orchestrator } = yield* Scope.provide(make(), scope)
      const reading = yield* Effect.forkChild(Stream.runCollect(orchestrator.events()), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(reading), [])
    })
  )
})
