import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Metric, References } from "effect"
import { TestClock } from "effect/testing"
import {
  Execution,
  ExecutionError,
  Executor,
  OrchestratorMetrics,
  RetryPolicy,
  Safety,
  TaskStore,
  TaskStoreError,
  Usage,
  Verification,
  Verifier
} from "@baton/core"
import { get, make, tasks } from "../harness.ts"

const memory = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)
const storeOf = (store: TaskStore.TaskStore["Service"]) => Layer.succeed(TaskStore.TaskStore, store)
const turns = (times = 300) => Effect.repeat(Effect.yieldNow, { times })
const cost = (costUsd: number): Usage.Usage => ({ ...Usage.zero, costUsd })
const unavailable = new TaskStoreError({ reason: "Unavailable", message: "connection refused" })

describe("metrics", () => {
  it.effect("what was claimed ahead and given back took no time", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1000 days")
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.as(gate.await, Execution.make({ output: "x" })))
      })
      yield* store.add(tasks("a", "b", "c"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* orchestrator.pause
      yield* gate.open
      yield* orchestrator.resume
      yield* Fiber.join(run)
      const { max } = yield* Metric.value(OrchestratorMetrics.attemptDuration)
      assert.isAtMost(max, 1000)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("nothing is held when the run has ended", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ executor: Executor.layerFake({ delay: "15 seconds" }) })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* turns()
      yield* TestClock.adjust("11 seconds")
      yield* turns()
      assert.strictEqual((yield* Metric.value(OrchestratorMetrics.held)).value, 1)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(run)
      assert.strictEqual((yield* Metric.value(OrchestratorMetrics.held)).value, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("count lost leases", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer(() => Effect.never),
        store: storeOf({
          ...real,
          extend: (leases) =>
            Effect.succeed({ lost: leases.map((lease) => ({ ...lease, status: "in_progress" as const })) })
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("10 seconds")
      yield* journal.next("LeaseLost")
      yield* orchestrator.stop
      yield* Fiber.join(run)
      assert.strictEqual((yield* Metric.value(OrchestratorMetrics.leasesLost)).count, 1)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("money", () => {
  it.effect("that an attempt spent without reserving is on the budget's books, also when its lease was lost", () =>
    Effect.gen(function* () {
      const real = yield* memory
      const judged = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { drainTimeout: 0 },
        executor: Executor.layer(() => Effect.succeed(Execution.make({ output: "x", usage: cost(1) }))),
        verifier: Verifier.layer(() => Effect.andThen(judged.open, Effect.never)),
        safety: Safety.layerBudget({ maxCostUsd: 0.5 }),
        store: storeOf({
          ...real,
          extend: (leases) =>
            Effect.succeed({ lost: leases.map((lease) => ({ ...lease, status: "in_progress" as const })) }),
          sweep: () => Effect.succeed([])
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* judged.await
      yield* TestClock.adjust("10 seconds")
      yield* journal.next("LeaseLost")
      yield* store.add(tasks("b"))
      yield* turns()
      yield* orchestrator.stop
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.reason._tag, "LimitReached")
      assert.strictEqual(summary.stats.usage?.costUsd, 1)
    })
  )

  it.effect("that an attempt spent before it was given back stays in the task's usage", () =>
    Effect.gen(function* () {
      let executions = 0
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(() =>
          Effect.suspend(() =>
            ++executions === 1
              ? Effect.fail(new ExecutionError({ reason: "Fatal", message: "spend limit", usage: cost(1) }))
              : Effect.succeed(Execution.make({ output: "x", usage: cost(2) }))
          )
        )
      })
      yield* store.add(tasks("a"))
      yield* Effect.flip(orchestrator.run)
      yield* orchestrator.run
      assert.strictEqual((yield* get(store, "a")).usage?.costUsd, 3)
    })
  )

  it.effect("is not lost on its way from the budget to the call when the call is interrupted in between", () =>
    Effect.gen(function* () {
      const leaked: Array<string> = []
      const worstCase = { costUsd: 1, tokens: 0, what: "model-x" }
      const context = yield* Layer.build(Safety.layerBudget({ maxCostUsd: 1000 }))
      const safety = yield* Effect.provide(Safety.Safety, context)
      const { orchestrator, store } = yield* make({
        executor: Executor.layer(
          Effect.fnUntraced(function* (_task, { spend }) {
            for (const operations of [3, 4, 5, 6, 7]) {
              for (let moment = 0; moment < 40; moment++) {
                const whole = { ...worstCase, costUsd: 1000 - leaked.length }
                const calling = yield* spend({ worstCase, call: Effect.never, spent: () => Usage.zero }).pipe(
                  Effect.provideService(References.MaxOpsBeforeYield, operations),
                  Effect.forkChild
                )
                for (let turn = 0; turn < moment; turn++) yield* Effect.yieldNow
                yield* Fiber.interrupt(calling)
                const all = yield* Effect.forkChild(safety.reserve(whole), { startImmediately: true })
                const granted = all.pollUnsafe()
                if (granted?._tag === "Success") yield* granted.value.commit(Usage.zero)
                else leaked.push(`after ${moment} turns of ${operations} operations`)
                yield* Fiber.interrupt(all)
              }
            }
            return Execution.make({ output: "x" })
          })
        ),
        safety: Layer.succeed(Safety.Safety, safety)
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(leaked, [])
    })
  )
})

describe("the summary of a run", () => {
  it.effect("does not fail with the store's last hiccup", () =>
    Effect.gen(function* () {
      const real = yield* memory
      let asked = 0
      const { orchestrator, store } = yield* make({
        store: storeOf({
          ...real,
          counts: Effect.suspend(() => (++asked === 2 ? Effect.fail(unavailable) : real.counts))
        })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* turns()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
    })
  )

  it.effect("counts no execution that never began", () =>
    Effect.gen(function* () {
      let executions = 0
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() =>
          Effect.sync(() => {
            executions++
            return Execution.make({ output: "x" })
          })
        ),
        verifier: Verifier.layerPure(() => (executions < 3 ? Verification.reject("no") : Verification.pass()))
      })
      yield* store.add(tasks("a"))
      const { stats } = yield* orchestrator.run
      assert.deepStrictEqual(
        [stats.tasksStarted, stats.executions, stats.tasksRetried, stats.tasksCompleted, stats.tasksReleased],
        [3, 3, 2, 1, 0]
      )
      assert.strictEqual(journal.of("TaskStarted").length, 3)
    })
  )
})
