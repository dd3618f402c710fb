import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Task, TaskStore } from "@baton/core"
import { make, tasks } from "../harness.ts"

const turns = (times = 300) => Effect.repeat(Effect.yieldNow, { times })
const anHour = Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), turns(20)), { times: 60 })
const many = (count: number) =>
  Array.from({ length: count }, (_, index) => Task.make({ id: `t${index}`, description: "x" }))

describe("numbers that make no sense", () => {
  for (const [name, config] of [
    ["concurrency NaN", { concurrency: Number.NaN }],
    ["prefetch NaN", { prefetch: Number.NaN }],
    ["maxAttempts NaN", { maxAttempts: Number.NaN }],
    ["a fraction of a worker", { concurrency: 1.5 }]
  ] as const) {
    it.effect(`${name} is refused, or the run ends`, () =>
      Effect.gen(function* () {
        const built = yield* Effect.exit(make({ config }))
        if (built._tag === "Failure") return
        const { orchestrator, store } = built.value
        yield* store.add(tasks("a", "b", "c"))
        const run = yield* Effect.forkDetach(orchestrator.run)
        yield* turns(1000)
        const ended = run.pollUnsafe() !== undefined
        yield* orchestrator.stop
        assert.isTrue(ended)
      })
    )
  }

  it.effect("extremes of concurrency and prefetch run everything once", () =>
    Effect.gen(function* () {
      for (const [concurrency, prefetch] of [
        [1, 1],
        [1, 1000],
        [1000, 1],
        [1000, 1000],
        [7, 3]
      ]) {
        const { orchestrator, store } = yield* make({ config: { concurrency, prefetch } })
        yield* store.add(many(2500))
        const { stats } = yield* orchestrator.run
        assert.deepStrictEqual([stats.tasksCompleted, stats.executions], [2500, 2500])
      }
    })
  )
})

describe("an idle worker among others", () => {
  it.effect("starts a new task at once, however often others were faster before", () =>
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
            attemptUsage: null,
            usage: null,
            execution: Execution.make({ output: "x" }),
            verification: null,
            verified: false
          }))
        )
        return []
      })
      const { journal, orchestrator, store } = yield* make({
        store: Layer.succeed(TaskStore.TaskStore, { ...real, claim })
      })
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("RunStarted")
      yield* turns()
      for (let index = 0; index < 20; index++) {
        yield* store.add(tasks(`t${index}`))
        yield* turns()
        yield* TestClock.adjust("1 minute")
        yield* turns()
      }
      assert.strictEqual((yield* store.counts).completed, 20)
      // Once more, and the next one is ours.
      yield* store.add(tasks("theirs"))
      yield* turns()
      othersAreFaster = false
      yield* store.add(tasks("ours"))
      yield* turns()
      const started = journal.of("TaskStarted").length
      yield* orchestrator.stop
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.strictEqual(started, 1)
    })
  )
})

describe("those who watch", () => {
  it.effect("a subscriber that takes no more does not keep a run from being stopped", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 } })
      yield* store.add(many(12_000))
      const subscriber = yield* Effect.forkDetach(
        Stream.runForEach(orchestrator.events, () => Effect.never),
        {
          startImmediately: true
        }
      )
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* turns(20_000)
      yield* orchestrator.stop
      yield* anHour
      const ended = run.pollUnsafe() !== undefined
      yield* Fiber.interrupt(subscriber)
      yield* anHour
      assert.isTrue(ended)
    })
  )

  it.effect("a hook that hangs with every event does not stall the run", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { concurrency: 64 }, hooks: [() => Effect.never] })
      yield* store.add(many(6000))
      const run = yield* Effect.forkDetach(orchestrator.run)
      yield* turns(5000)
      yield* anHour
      const ended = run.pollUnsafe() !== undefined
      const { tasksCompleted } = yield* orchestrator.stats
      yield* orchestrator.stop
      assert.deepStrictEqual([ended, tasksCompleted], [true, 6000])
    })
  )
})
