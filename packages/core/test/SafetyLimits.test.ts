import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Safety, SafetyStop, Usage } from "@baton/core"

const service = (layer: Layer.Layer<Safety.Safety>) =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provide(Safety.Safety, context))

const worst = (costUsd: number): Safety.Spend => ({ costUsd, tokens: 0, what: "model-x" })

describe("Safety.layerDeadline", () => {
  it.effect("allows attempts until it is reached, and then stops the run", () =>
    Effect.gen(function* () {
      const safety = yield* service(Safety.layerDeadline("8 hours"))
      const stopping = yield* Effect.forkChild(safety.awaitStop, { startImmediately: true })
      yield* TestClock.adjust("7 hours")
      yield* safety.allow
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("1 hour")
      const stop = yield* Fiber.join(stopping)
      assert.strictEqual(stop.limit, "deadline")
      assert.strictEqual(stop.message, "The run reached its limit of 8h.")
      assert.strictEqual((yield* Effect.flip(safety.allow)).limit, "deadline")
      assert.strictEqual(Option.getOrThrow(yield* safety.stopReason).limit, "deadline")
    })
  )

  it.effect("stops at once with zero, and never with infinity", () =>
    Effect.gen(function* () {
      const none = yield* service(Safety.layerDeadline(0))
      yield* Effect.flip(none.allow)
      yield* none.awaitStop
      const endless = yield* service(Safety.layerDeadline("Infinity"))
      const stopping = yield* Effect.forkChild(endless.awaitStop, { startImmediately: true })
      yield* TestClock.adjust("10000 days")
      yield* endless.allow
      assert.isUndefined(stopping.pollUnsafe())
    })
  )
})

describe("Safety.layerAllowAll", () => {
  it.effect("has no limits", () =>
    Effect.gen(function* () {
      const safety = yield* service(Safety.layerAllowAll)
      for (let attempt = 0; attempt < 1000; attempt++) {
        yield* safety.allow
        yield* safety.recordFailure("no", { ...Usage.zero, costUsd: 1e6 })
        const { commit } = yield* safety.reserve({ costUsd: null, tokens: 1e9, what: "model-x" })
        yield* commit(undefined)
      }
      assert.isTrue(Option.isNone(yield* safety.stopReason))
    })
  )
})

describe("Safety.layerAll", () => {
  it.effect("allows an attempt when all limits do, and stops with the first reason", () =>
    Effect.gen(function* () {
      const safety = yield* service(
        Safety.layerAll(
          Safety.layerCircuitBreaker({ maxIterations: 3 }),
          Safety.layerBudget({ maxCostUsd: 1 }),
          Safety.layerDeadline("1 hour")
        )
      )
      const stopping = yield* Effect.forkChild(safety.awaitStop, { startImmediately: true })
      yield* safety.allow
      yield* safety.recordSuccess({ ...Usage.zero, costUsd: 2 })
      const stop = yield* Effect.flip(safety.allow)
      assert.strictEqual(stop.limit, "cost")
      assert.strictEqual(yield* Fiber.join(stopping), stop)
      assert.deepStrictEqual(yield* safety.stopReason, Option.some(stop))
    })
  )

  it.effect("records successes and failures for all limits", () =>
    Effect.gen(function* () {
      const breaker = Safety.layerCircuitBreaker({ maxConsecutiveFailures: 2 })
      const safety = yield* service(Safety.layerAll(Safety.layerDeadline("1 hour"), breaker))
      yield* safety.recordFailure("no", undefined)
      yield* safety.recordSuccess(undefined)
      yield* safety.recordFailure("no", undefined)
      yield* safety.allow
      yield* safety.recordFailure("no again", undefined)
      assert.strictEqual((yield* safety.awaitStop).limit, "consecutive-failures")
    })
  )

  it.effect("keeps two limits of the same kind apart: the tighter one stops first", () =>
    Effect.gen(function* () {
      const safety = yield* service(
        Safety.layerAll(
          Safety.layerCircuitBreaker({ maxIterations: 2 }),
          Safety.layerCircuitBreaker({ maxIterations: 5 })
        )
      )
      yield* safety.allow
      yield* safety.allow
      assert.include((yield* Effect.flip(safety.allow)).message, "limit of 2 attempts")
    })
  )

  it.effect("reserves with all limits or with none", () =>
    Effect.gen(function* () {
      const given: Array<Usage.Usage | undefined> = []
      const first = Layer.succeed(
        Safety.Safety,
        Safety.make({
          allow: Effect.void,
          reserve: () => Effect.succeed({ commit: (usage) => Effect.sync(() => void given.push(usage)) })
        })
      )
      const refusal = new SafetyStop({ limit: "cost", message: "no" })
      const second = Layer.succeed(
        Safety.Safety,
        Safety.make({ allow: Effect.void, reserve: () => Effect.fail(refusal) })
      )
      const safety = yield* service(Safety.layerAll(first, second))
      assert.strictEqual(yield* Effect.flip(safety.reserve(worst(1))), refusal)
      assert.deepStrictEqual(given, [Usage.zero])
    })
  )

  it.effect("frees its reservations when the wait for the next one is interrupted", () =>
    Effect.gen(function* () {
      const given: Array<Usage.Usage | undefined> = []
      const first = Layer.succeed(
        Safety.Safety,
        Safety.make({
          allow: Effect.void,
          reserve: () => Effect.succeed({ commit: (usage) => Effect.sync(() => void given.push(usage)) })
        })
      )
      const safety = yield* service(Safety.layerAll(first, Safety.layerBudget({ maxCostUsd: 1 })))
      const whole = yield* safety.reserve(worst(1))
      const waiting = yield* Effect.forkChild(safety.reserve(worst(1)), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(given, [Usage.zero])
      yield* whole.commit({ ...Usage.zero, costUsd: 0.5 })
      yield* safety.reserve(worst(0.5))
    })
  )

  it.effect("records releases for all limits: their usage counts, and a probe is replaced", () =>
    Effect.gen(function* () {
      const safety = yield* service(
        Safety.layerAll(
          Safety.layerCircuitBreaker({ maxConsecutiveFailures: 1, coolDown: "1 minute" }),
          Safety.layerBudget({ maxCostUsd: 1 })
        )
      )
      yield* safety.recordFailure("no", undefined)
      yield* TestClock.adjust("1 minute")
      yield* safety.allow
      yield* safety.recordRelease({ ...Usage.zero, costUsd: 0.4 })
      yield* safety.allow
      yield* safety.recordRelease({ ...Usage.zero, costUsd: 0.6 })
      assert.strictEqual((yield* Effect.flip(safety.allow)).limit, "cost")
    })
  )

  it.effect("commits to all limits", () =>
    Effect.gen(function* () {
      const safety = yield* service(
        Safety.layerAll(Safety.layerBudget({ maxCostUsd: 1 }), Safety.layerBudget({ maxCostUsd: 0.5 }))
      )
      const { commit } = yield* safety.reserve(worst(0.4))
      yield* commit({ ...Usage.zero, costUsd: 0.3 })
      assert.include((yield* Effect.flip(safety.reserve(worst(0.3)))).message, "$0.3 of $0.5")
    })
  )

  it.effect("publishes the changes of every circuit breaker", () =>
    Effect.gen(function* () {
      const breaker = (failures: number) =>
        Safety.layerCircuitBreaker({ maxConsecutiveFailures: failures, coolDown: "1 minute" })
      const safety = yield* service(Safety.layerAll(breaker(1), breaker(2)))
      const seen = yield* Queue.unbounded<Safety.BreakerState>()
      yield* Effect.forkScoped(Stream.runForEach(safety.changes, (change) => Queue.offer(seen, change)))
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      yield* safety.recordFailure("no", undefined)
      assert.deepStrictEqual(yield* Queue.take(seen), { state: "open", reason: "1 failure" })
      yield* safety.recordFailure("no", undefined)
      assert.deepStrictEqual(yield* Queue.take(seen), { state: "open", reason: "2 failures in a row" })
    })
  )

  it.effect("of no layers has no limits", () =>
    Effect.gen(function* () {
      const safety = yield* service(Safety.layerAll())
      yield* safety.allow
      yield* (yield* safety.reserve(worst(1e9))).commit(undefined)
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      const stopping = yield* Effect.forkChild(safety.awaitStop, { startImmediately: true })
      assert.isUndefined(stopping.pollUnsafe())
    })
  )
})

describe("Safety.make", () => {
  it.effect("completes an implementation: the rest records nothing and stops nothing", () =>
    Effect.gen(function* () {
      const safety = Safety.make({ allow: Effect.void })
      yield* safety.recordFailure("no", undefined)
      yield* safety.recordSuccess(undefined)
      yield* safety.recordRelease(undefined)
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      assert.deepStrictEqual(yield* Stream.runCollect(safety.changes), [])
    })
  )
})
