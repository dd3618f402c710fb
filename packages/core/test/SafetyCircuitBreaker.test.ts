import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Queue, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Safety } from "@baton/core"

const build = (layer: Layer.Layer<Safety.Safety>) => Effect.provide(Safety.Safety, layer, { local: true })

/** The breaker under test. The scope of the test keeps its timers alive. */
const breaker = (options: Parameters<typeof Safety.layerCircuitBreaker>[0]) =>
  Effect.flatMap(Layer.build(Safety.layerCircuitBreaker(options)), (context) => Effect.provide(Safety.Safety, context))

/** Asks to start an attempt. */
const ask = (safety: Safety.SafetyService) => Effect.forkChild(safety.allow, { startImmediately: true })

const allowed = (fibers: ReadonlyArray<Fiber.Fiber<void, unknown>>) =>
  fibers.filter((fiber) => fiber.pollUnsafe()?._tag === "Success").length

const failTimes = (safety: Safety.SafetyService, times: number) =>
  Effect.repeat(safety.recordFailure("it broke", undefined), { times: times - 1 })

describe("Safety.layerCircuitBreaker", () => {
  it.effect("lets exactly `maxIterations` attempts start, even if more ask at the same time", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxIterations: 100 })
      const results = yield* Effect.forEach(
        Array.from({ length: 64 }),
        () =>
          Effect.forEach(Array.from({ length: 5 }), () => Effect.result(Effect.andThen(Effect.yieldNow, safety.allow))),
        { concurrency: "unbounded" }
      )
      const outcomes = results.flat()
      assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Success").length, 100)
      const stop = yield* safety.awaitStop
      assert.strictEqual(stop.limit, "iterations")
      assert.strictEqual(stop.message, "The run reached its limit of 100 attempts.")
      assert.deepStrictEqual(yield* safety.stopReason, Option.some(stop))
    })
  )

  it.effect("has no stop reason until an attempt is refused", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxIterations: 2 })
      yield* safety.allow
      yield* safety.allow
      assert.isTrue(Option.isNone(yield* safety.stopReason))
      assert.strictEqual((yield* Effect.flip(safety.allow)).limit, "iterations")
    })
  )

  it.effect("stops after `maxFailuresBeforeSuccess` failures, but not when an attempt has succeeded", () =>
    Effect.gen(function* () {
      const first = yield* breaker({ maxFailuresBeforeSuccess: 2 })
      yield* first.recordFailure("no key", undefined)
      assert.isTrue(Option.isNone(yield* first.stopReason))
      yield* first.recordFailure("no key", undefined)
      const stop = Option.getOrThrow(yield* first.stopReason)
      assert.strictEqual(stop.limit, "no-success")
      assert.strictEqual(stop.message, "2 failures in a row before the first success (last: no key)")
      const later = yield* breaker({ maxFailuresBeforeSuccess: 2 })
      yield* later.recordSuccess(undefined)
      for (let n = 0; n < 5; n++) yield* later.recordFailure("busy", undefined)
      assert.isTrue(Option.isNone(yield* later.stopReason))
    })
  )

  it.effect("stops after `maxConsecutiveFailures` failures in a row, and names the last one", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxConsecutiveFailures: 3 })
      const waiting = yield* Effect.forkChild(safety.awaitStop, { startImmediately: true })
      yield* failTimes(safety, 2)
      yield* safety.allow
      yield* safety.recordFailure("the provider is down", undefined)
      const stop = yield* Fiber.join(waiting)
      assert.strictEqual(stop.limit, "consecutive-failures")
      assert.strictEqual(stop.message, "3 failures in a row (last: the provider is down)")
      assert.strictEqual(yield* Effect.flip(safety.allow), stop)
    })
  )

  it.effect("a success resets the count of failures", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxConsecutiveFailures: 3 })
      yield* failTimes(safety, 2)
      yield* safety.recordSuccess(undefined)
      yield* failTimes(safety, 2)
      yield* safety.allow
      assert.isTrue(Option.isNone(yield* safety.stopReason))
    })
  )

  it.effect("has no limits by default", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({})
      yield* failTimes(safety, 1000)
      yield* Effect.repeat(safety.allow, { times: 1000 })
      assert.isTrue(Option.isNone(yield* safety.stopReason))
    })
  )

  it.effect("keeps the first reason", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxIterations: 1, maxConsecutiveFailures: 1 })
      yield* safety.allow
      yield* Effect.flip(safety.allow)
      yield* safety.recordFailure("late", undefined)
      assert.strictEqual((yield* safety.awaitStop).limit, "iterations")
      assert.strictEqual(Option.getOrThrow(yield* safety.stopReason).limit, "iterations")
    })
  )

  it.effect("two breakers count separately", () =>
    Effect.gen(function* () {
      const layer = Safety.layerCircuitBreaker({ maxIterations: 1 })
      const [first, second] = [yield* build(layer), yield* build(layer)]
      yield* first.allow
      yield* second.allow
      yield* Effect.flip(first.allow)
    })
  )
})

describe("Safety.layerCircuitBreaker with a cool-down", () => {
  const cooling = breaker({ maxConsecutiveFailures: 2, coolDown: "1 minute" })

  it.effect("does not stop the run: attempts wait, and then one starts as a probe", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      const fibers = [yield* ask(safety), yield* ask(safety), yield* ask(safety)]
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(allowed(fibers), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(allowed(fibers), 1)
      assert.isTrue(Option.isNone(yield* safety.stopReason))
    })
  )

  it.effect("a probe that succeeds lets all others start", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      const fibers = [yield* ask(safety), yield* ask(safety), yield* ask(safety)]
      yield* TestClock.adjust("1 minute")
      yield* safety.recordSuccess(undefined)
      yield* Effect.forEach(fibers, Fiber.join)
      yield* safety.allow
    })
  )

  it.effect("stays closed after a probe succeeded, as time passes", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      yield* TestClock.adjust("1 minute")
      yield* safety.allow
      yield* safety.recordSuccess(undefined)
      const changes = yield* Effect.forkChild(Stream.runHead(safety.changes), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(allowed([yield* ask(safety), yield* ask(safety), yield* ask(safety)]), 3)
      assert.isUndefined(changes.pollUnsafe())
    })
  )

  it.effect("a probe that fails starts another whole cool-down", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      const fibers = [yield* ask(safety), yield* ask(safety)]
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("40 seconds")
      yield* safety.recordFailure("still down", undefined)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(allowed(fibers), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(allowed(fibers), 2)
    })
  )

  it.effect("after it closed, it opens after the same number of failures as before", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      yield* TestClock.adjust("1 minute")
      yield* safety.allow
      yield* safety.recordSuccess(undefined)
      yield* safety.recordFailure("once", undefined)
      yield* safety.allow
      yield* safety.recordFailure("twice", undefined)
      const fiber = yield* ask(safety)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(allowed([fiber]), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(allowed([fiber]), 1)
    })
  )

  it.effect("after a released probe, exactly one other attempt starts", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      yield* TestClock.adjust("1 minute")
      yield* safety.allow
      const fibers = [yield* ask(safety), yield* ask(safety)]
      assert.strictEqual(allowed(fibers), 0)
      yield* safety.recordRelease(undefined)
      assert.strictEqual(allowed(fibers), 1)
    })
  )

  it.effect("a probe stays the only attempt until it ends", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      yield* TestClock.adjust("1 minute")
      yield* safety.allow
      const fiber = yield* ask(safety)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(allowed([fiber]), 0)
      yield* safety.recordSuccess(undefined)
      yield* Fiber.join(fiber)
    })
  )

  it.effect("a released attempt changes nothing while it is closed or open", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* safety.recordRelease(undefined)
      yield* failTimes(safety, 2)
      const fiber = yield* ask(safety)
      yield* safety.recordRelease(undefined)
      assert.strictEqual(allowed([fiber]), 0)
      assert.isTrue(Option.isNone(yield* safety.stopReason))
    })
  )

  it.effect("a probe that is interrupted while it starts is released by its caller, and not lost", () =>
    Effect.gen(function* () {
      for (let moment = 0; moment < 30; moment++) {
        const safety = yield* cooling
        yield* failTimes(safety, 2)
        yield* TestClock.adjust("1 minute")
        let granted = false
        const asking = yield* safety.allow.pipe(
          Effect.onExit((exit) => {
            granted = exit._tag === "Success"
            return granted ? Effect.void : safety.recordRelease(undefined)
          }),
          Effect.provideService(References.MaxOpsBeforeYield, 3),
          Effect.forkChild
        )
        for (let turn = 0; turn < moment; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(asking)
        if (!granted) yield* safety.allow
      }
    })
  )

  it.effect("a caller that stops waiting is not the probe", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      const given = yield* ask(safety)
      const kept = yield* ask(safety)
      yield* Fiber.interrupt(given)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(allowed([kept]), 1)
    })
  )

  it.effect("failures of attempts that started before it opened change nothing", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      yield* failTimes(safety, 2)
      const fiber = yield* ask(safety)
      yield* TestClock.adjust("30 seconds")
      yield* failTimes(safety, 5)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(allowed([fiber]), 1)
    })
  )

  it.effect("a probe counts as an iteration, and the last iteration ends the wait of the others", () =>
    Effect.gen(function* () {
      const safety = yield* breaker({ maxIterations: 1, maxConsecutiveFailures: 1, coolDown: "1 minute" })
      yield* safety.recordFailure("down", undefined)
      const fibers = [yield* ask(safety), yield* ask(safety), yield* ask(safety)]
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(allowed(fibers), 1)
      yield* safety.recordFailure("still down", undefined)
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(fibers, (fiber) => Effect.result(Fiber.join(fiber)))
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag).toSorted(), ["Failure", "Failure", "Success"])
    })
  )

  it.effect("publishes every change of its state", () =>
    Effect.gen(function* () {
      const safety = yield* cooling
      const seen = yield* Queue.unbounded<Safety.BreakerState>()
      yield* Effect.forkScoped(
        Stream.runForEach(safety.changes, (change) => Queue.offer(seen, change)),
        {
          startImmediately: true
        }
      )
      yield* failTimes(safety, 2)
      assert.deepStrictEqual(yield* Queue.take(seen), { state: "open", reason: "2 failures in a row" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Queue.take(seen)).state, "half-open")
      yield* safety.allow
      yield* safety.recordFailure("down", undefined)
      assert.deepStrictEqual(yield* Queue.take(seen), { state: "open", reason: "3 failures in a row" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Queue.take(seen)).state, "half-open")
      yield* safety.allow
      yield* safety.recordSuccess(undefined)
      assert.strictEqual((yield* Queue.take(seen)).state, "closed")
    })
  )
})
