import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Event, Execution, ExecutionError, Executor, RetryPolicy, Safety, SafetyStop, Usage } from "@baton/core"
import { get, hasEnded, make, tasks, yields } from "./harness.ts"

const numbered = (count: number) => tasks(...Array.from({ length: count }, (_, index) => `t${index}`))

describe("a run under its own limit", () => {
  it.effect("ends with the name of that limit", () =>
    Effect.gen(function* () {
      const reached = new SafetyStop({ limit: "office-hours", message: "It is after six." })
      const { journal, orchestrator, store } = yield* make({
        safety: Layer.succeed(Safety.Safety, Safety.make({ allow: Effect.fail(reached) }))
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      const event = yield* Schema.encodeEffect(Event.Event)(journal.events.at(-1) ?? (yield* Effect.die("no event")))
      assert.deepInclude(event, {
        reason: { _tag: "LimitReached", limit: "office-hours", message: "It is after six." }
      })
    })
  )
})

describe("a run under a circuit breaker", () => {
  for (const concurrency of [1, 7, 64]) {
    it.effect(`executes exactly \`maxIterations\` attempts at concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        let executions = 0
        const { orchestrator, store } = yield* make({
          config: { concurrency },
          executor: Executor.layer(() =>
            Effect.gen(function* () {
              executions++
              yield* Effect.yieldNow
              return Execution.make({ output: "x" })
            })
          ),
          safety: Safety.layerCircuitBreaker({ maxIterations: 20 })
        })
        yield* store.add(numbered(200))
        const summary = yield* orchestrator.run
        assert.deepStrictEqual(summary.reason, {
          _tag: "LimitReached",
          limit: "iterations",
          message: "The run reached its limit of 20 attempts."
        })
        assert.strictEqual(executions, 20)
        assert.deepStrictEqual(
          [summary.counts.completed, summary.counts.pending, summary.counts.in_progress],
          [20, 180, 0]
        )
        assert.strictEqual(yield* orchestrator.state, "stopped")
      })
    )
  }

  it.effect("is drained if the last allowed attempt was the last one needed", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ safety: Safety.layerCircuitBreaker({ maxIterations: 3 }) })
      yield* store.add(tasks("a", "b", "c"))
      assert.strictEqual((yield* orchestrator.run).reason._tag, "Drained")
    })
  )

  it.effect("stops after consecutive failures; refused attempts do not count", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layerFake({ success: false }),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 3 })
      })
      yield* store.add(numbered(10))
      const summary = yield* orchestrator.run
      assert.deepStrictEqual(summary.reason, {
        _tag: "LimitReached",
        limit: "consecutive-failures",
        message: "3 failures in a row (last: Fake failure)"
      })
      assert.deepStrictEqual([summary.counts.failed, summary.counts.pending, summary.counts.in_progress], [3, 7, 0])
      assert.strictEqual((yield* get(store, "t3")).attempts, 0)
      assert.strictEqual(journal.of("TaskStarted").length, 3)
      const ended = journal.of("RunEnded")
      assert.deepStrictEqual(ended[0]?.reason, summary.reason)
    })
  )

  it.effect("lets running tasks finish when the limit is reached", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 2, maxAttempts: 1 },
        executor: Executor.layer((task) =>
          task.id === "slow"
            ? Effect.as(gate.await, Execution.make({ output: "x" }))
            : Effect.fail(new ExecutionError({ reason: "Failed", message: "no" }))
        ),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 2 })
      })
      yield* store.add(tasks("slow", "b", "c", "d"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("Draining")
      yield* gate.open
      const summary = yield* Fiber.join(run)
      assert.strictEqual((yield* get(store, "slow")).status, "completed")
      assert.deepStrictEqual([summary.counts.failed, summary.counts.pending], [2, 1])
    })
  )

  it.effect("with a cool-down it waits, probes with one task, and continues when that succeeds", () =>
    Effect.gen(function* () {
      let down = true
      const { journal, orchestrator, store } = yield* make({
        config: { concurrency: 4, maxAttempts: 10, retryPolicy: RetryPolicy.immediate },
        executor: Executor.layer(() =>
          Effect.suspend(() =>
            down
              ? Effect.fail(new ExecutionError({ reason: "Failed", message: "down" }))
              : Effect.succeed(Execution.make({ output: "x" }))
          )
        ),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 4, coolDown: "1 minute" })
      })
      yield* store.add(numbered(8))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("CircuitOpened")
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      const before = journal.of("TaskStarted").length
      yield* TestClock.adjust("1 minute")
      yield* journal.next("CircuitHalfOpened")
      yield* journal.next("CircuitOpened")
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      assert.strictEqual(journal.of("TaskStarted").length, before + 1)
      down = false
      yield* TestClock.adjust("1 minute")
      yield* journal.next("CircuitClosed")
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.reason._tag, "Drained")
      assert.strictEqual(summary.counts.completed, 8)
    })
  )

  it.effect("can be stopped during a cool-down; waiting tasks are released", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { maxAttempts: 1, concurrency: 3 },
        executor: Executor.layerFake({ success: false }),
        safety: Safety.layerAll(
          Safety.layerDeadline("1 day"),
          Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 hour" })
        )
      })
      yield* store.add(numbered(10))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("CircuitOpened")
      yield* orchestrator.stop
      const summary = yield* Fiber.join(run)
      assert.strictEqual(summary.counts.in_progress, 0)
      assert.strictEqual(summary.counts.failed + summary.counts.pending, 10)
    })
  )
})

describe("a run under a deadline", () => {
  it.effect("is drained at the deadline, even if no task ends", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        config: { drainTimeout: "1 minute" },
        executor: Executor.layer(() => Effect.never),
        safety: Safety.layerDeadline("8 minutes")
      })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskStarted")
      yield* TestClock.adjust("8 minutes")
      yield* journal.next("Draining")
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(run)
      assert.deepStrictEqual(summary.reason, {
        _tag: "LimitReached",
        limit: "deadline",
        message: "The run reached its limit of 8m."
      })
      assert.deepStrictEqual([summary.counts.pending, summary.counts.in_progress], [2, 0])
      assert.strictEqual((yield* get(store, "a")).attempts, 0)
    })
  )
})

describe("limits count from the start of each run", () => {
  const failing = Executor.layerFake({ success: false })
  const paying = Executor.layer(() =>
    Effect.succeed(Execution.make({ output: "x", usage: { ...Usage.zero, costUsd: 1, outputTokens: 10 } }))
  )
  const limits: ReadonlyArray<readonly [string, Layer.Layer<Safety.Safety>, Layer.Layer<Executor.Executor>]> = [
    ["attempts", Safety.layerCircuitBreaker({ maxIterations: 2 }), Executor.layerFake()],
    ["consecutive failures", Safety.layerCircuitBreaker({ maxConsecutiveFailures: 2 }), failing],
    ["money", Safety.layerBudget({ maxCostUsd: 2 }), paying],
    ["tokens", Safety.layerBudget({ maxTokens: 20 }), paying],
    ["several limits", Safety.layerAll(Safety.layerBudget({ maxCostUsd: 2 }), Safety.layerDeadline("1 hour")), paying]
  ]
  for (const [name, safety, executor] of limits) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { orchestrator, store } = yield* make({ config: { maxAttempts: 1 }, executor, safety })
        yield* store.add(tasks("a", "b", "c", "d", "e"))
        const first = yield* orchestrator.run
        assert.deepStrictEqual([first.reason._tag, first.stats.tasksStarted], ["LimitReached", 2])
        const second = yield* orchestrator.run
        assert.deepStrictEqual([second.reason._tag, second.stats.tasksStarted], ["LimitReached", 2])
      })
    )
  }

  it.effect("a deadline", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ safety: Safety.layerDeadline("1 hour") })
      yield* TestClock.adjust("2 hours")
      yield* store.add(tasks("a"))
      assert.strictEqual((yield* orchestrator.run).reason._tag, "Drained")
      yield* TestClock.adjust("2 hours")
      yield* store.add(tasks("b"))
      assert.strictEqual((yield* orchestrator.run).counts.completed, 2)
    })
  )

  it.effect("the cool-down of a circuit breaker", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 1 },
        executor: Executor.layerFake({
          script: ({ id }) => (id === "bad" ? undefined : { _tag: "Succeed" }),
          success: false
        }),
        safety: Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 hour" })
      })
      yield* store.add(tasks("bad"))
      yield* orchestrator.run
      yield* store.add(tasks("good"))
      assert.strictEqual((yield* orchestrator.run).stats.tasksCompleted, 1)
    })
  )

  it.effect("are separate for orchestrators that share a layer", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Safety.layerCircuitBreaker({ maxIterations: 2 }))
      const safety = Layer.succeedContext(context)
      for (const { orchestrator, store } of [yield* make({ safety }), yield* make({ safety })]) {
        yield* store.add(tasks("a", "b", "c"))
        assert.strictEqual((yield* orchestrator.run).stats.tasksCompleted, 2)
      }
    })
  )
})

describe("a limit that refuses the retries to come", () => {
  const config = { retryPolicy: RetryPolicy.exponential({ base: "1 hour", max: "1 hour" }) }
  const failing = Executor.layerFake({ success: false })

  for (const concurrency of [1, 2]) {
    it.effect(`ends the run at once with ${concurrency} workers, not when they are due`, () =>
      Effect.gen(function* () {
        const { orchestrator, store } = yield* make({
          config: { ...config, concurrency },
          executor: failing,
          safety: Safety.layerCircuitBreaker({ maxIterations: 2 })
        })
        yield* store.add(tasks("a", "b"))
        const run = yield* Effect.forkChild(orchestrator.run)
        yield* yields(1000)
        assert.isTrue(hasEnded(run))
        const { counts, reason } = yield* Fiber.join(run)
        assert.deepStrictEqual(
          [reason, counts.pending],
          [{ _tag: "LimitReached", limit: "iterations", message: "The run reached its limit of 2 attempts." }, 2]
        )
      })
    )
  }

  it.effect("ends a worker at once", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ safety: Safety.layerCircuitBreaker({ maxIterations: 2 }) })
      yield* store.add(tasks("a", "b"))
      const run = yield* Effect.forkChild(orchestrator.runForever)
      yield* yields(1000)
      assert.isTrue(hasEnded(run))
      assert.strictEqual((yield* Fiber.join(run)).reason._tag, "LimitReached")
    })
  )

  it.effect("ends the run at once when a budget is used up", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config,
        executor: Executor.layer(() =>
          Effect.fail(new ExecutionError({ reason: "Failed", message: "no", usage: { ...Usage.zero, costUsd: 1 } }))
        ),
        safety: Safety.layerAll(Safety.layerBudget({ maxCostUsd: 1 }), Safety.layerDeadline("1 day"))
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* yields(1000)
      assert.isTrue(hasEnded(run))
      assert.deepInclude((yield* Fiber.join(run)).reason, { _tag: "LimitReached", limit: "cost" })
    })
  )

  it.effect("does not end a run that is drained, or one that may still retry", () =>
    Effect.gen(function* () {
      const safety = Safety.layerCircuitBreaker({ maxIterations: 2 })
      const done = yield* make({ safety })
      yield* done.store.add(tasks("a", "b"))
      assert.strictEqual((yield* done.orchestrator.run).reason._tag, "Drained")
      const retrying = yield* make({ config, executor: Executor.layerFake({ failures: 1 }), safety })
      yield* retrying.store.add(tasks("a"))
      const run = yield* Effect.forkChild(retrying.orchestrator.run)
      yield* retrying.journal.next("TaskRetried")
      yield* TestClock.adjust("90 minutes")
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
    })
  )
})
