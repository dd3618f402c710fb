import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, Random, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Execution, ExecutionError, Executor, Outcome, RetryPolicy, Safety, Verification, Verifier } from "@baton/core"
import { get, layerOf, make, memoryStore, tasks } from "./harness.ts"

const errored = (reason: ExecutionError["reason"] = "Failed"): Outcome.Errored => ({
  _tag: "Errored",
  error: new ExecutionError({ reason, message: "no" })
})

/** The failed attempts 1 to `count`, all at the same time. */
const failures = (count: number, outcome: Outcome.Failure = errored()): ReadonlyArray<RetryPolicy.FailedAttempt> =>
  Array.from({ length: count }, (_, index) => ({ attempt: index + 1, outcome, endedAt: 0 }))

/** The delay after attempt number `attempt`; undefined when the policy has ended. */
const millis = (policy: RetryPolicy.RetryPolicy, attempt: number) =>
  Effect.map(RetryPolicy.delayAfter(policy, failures(attempt)), (delay) =>
    Option.isSome(delay) ? Duration.toMillis(delay.value) : undefined
  )

/** Without randomness: the middle of the jitter. */
const withoutJitter = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Random.Random, {
    nextIntUnsafe: () => 0,
    nextDoubleUnsafe: () => 0.5
  })

const Attempt = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2000 }))
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))

describe("RetryPolicy.delayAfter", () => {
  it.effect("doubles from a second up to five minutes", () =>
    Effect.gen(function* () {
      const delays = yield* Effect.forEach([1, 2, 3, 4, 5, 9, 10, 11, 1000], (attempt) =>
        millis(RetryPolicy.exponential(), attempt)
      )
      assert.deepStrictEqual(
        delays,
        [1, 2, 4, 8, 16, 256, 300, 300, 300].map((seconds) => seconds * 1000)
      )
    }).pipe(withoutJitter)
  )

  it.effect("is not capped below its base", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ base: "1 hour" })
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2], (attempt) => millis(policy, attempt)),
        [3_600_000, 3_600_000]
      )
      const capped = RetryPolicy.exponential({ base: "1 hour", max: "1 minute" })
      assert.strictEqual(yield* millis(capped, 1), 60_000)
    }).pipe(withoutJitter)
  )

  it.effect("has a configurable base, factor and cap", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ base: "100 millis", factor: 3, max: "1 second" })
      const delays = yield* Effect.forEach([1, 2, 3, 4], (attempt) => millis(policy, attempt))
      assert.deepStrictEqual(delays, [100, 300, 900, 1000])
    }).pipe(withoutJitter)
  )

  it.effect.prop(
    "stays within 20 % of the capped exponential, for any attempt",
    [Attempt, Millis, Millis],
    ([attempt, base, max]) =>
      Effect.gen(function* () {
        const delay = (yield* millis(RetryPolicy.exponential({ base, max }), attempt)) ?? Number.NaN
        const middle = Math.min(max, base * 2 ** (attempt - 1))
        assert.isAtLeast(delay, 0.8 * middle - 1e-6)
        assert.isAtMost(delay, 1.2 * middle + 1e-6)
      }),
    { arbitrary: { runs: 50 } }
  )

  it.effect("spreads the retries of a hundred tasks that failed together", () =>
    Effect.gen(function* () {
      const delays = yield* Effect.forEach(Array.from({ length: 100 }), () => millis(RetryPolicy.exponential(), 3))
      assert.isAtLeast(new Set(delays).size, 50)
    })
  )

  it.effect("depends only on the failed attempts, so that it is the same after a restart", () =>
    Effect.gen(function* () {
      const policy = Schedule.exponential("1 second")
      const before = yield* millis(policy, 4)
      // Another process computes it for the same attempt.
      assert.strictEqual(yield* millis(Schedule.exponential("1 second"), 4), before)
      assert.strictEqual(before, 8000)
    })
  )

  it.effect("is none after the schedule has ended", () =>
    Effect.gen(function* () {
      const policy = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))
      const delays = yield* Effect.forEach([1, 2, 3, 4, 50], (attempt) => millis(policy, attempt))
      assert.deepStrictEqual(delays, [1000, 2000, 4000, undefined, undefined])
      assert.isUndefined(yield* millis(Schedule.recurs(0), 1))
      assert.deepStrictEqual(yield* Effect.forEach([1, 2], (attempt) => millis(Schedule.recurs(1), attempt)), [
        0,
        undefined
      ])
    })
  )

  it.effect("is zero without an attempt", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* millis(RetryPolicy.exponential(), 0), 0)
    })
  )

  it.effect("can be zero", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 100], (attempt) => millis(RetryPolicy.immediate, attempt)),
        [0, 0, 0]
      )
    })
  )

  it.effect("gives the schedule the number and the outcome of each attempt", () =>
    Effect.gen(function* () {
      const policy = Schedule.identity<RetryPolicy.Input>().pipe(
        Schedule.modifyDelay(({ input }) => Effect.succeed(Duration.seconds(input.attempt * 10))),
        Schedule.while(({ input }) => input.outcome._tag !== "Errored" || input.outcome.error.reason !== "TimedOut")
      )
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 3], (attempt) => millis(policy, attempt)),
        [10_000, 20_000, 30_000]
      )
      assert.isTrue(Option.isNone(yield* RetryPolicy.delayAfter(policy, failures(1, errored("TimedOut")))))
    })
  )

  it.effect("is counted from the times when the attempts ended", () =>
    Effect.gen(function* () {
      const at = (attempt: number, minutes: number) => ({ attempt, outcome: errored(), endedAt: minutes * 60_000 })
      const policy = Schedule.spaced("10 minutes").pipe(Schedule.upTo({ duration: "1 hour" }))
      assert.isTrue(Option.isSome(yield* RetryPolicy.delayAfter(policy, [at(1, 30), at(2, 89)])))
      assert.isTrue(Option.isNone(yield* RetryPolicy.delayAfter(policy, [at(1, 30), at(2, 91)])))
    })
  )

  it.effect("is the time until the next date of a cron schedule", () =>
    Effect.gen(function* () {
      const endedAt = Date.UTC(2026, 10, 29, 12, 20)
      const hourly = Schedule.cron("0 * * * *", "UTC")
      const delay = yield* RetryPolicy.delayAfter(hourly, [{ attempt: 1, outcome: errored(), endedAt }])
      assert.deepStrictEqual(Option.map(delay, Duration.toMinutes), Option.some(40))
    })
  )
})

describe("the retry policy of a run", () => {
  it.effect("ends the retries of a task when it ends, although attempts are left", () =>
    Effect.gen(function* () {
      const { orchestrator, store } = yield* make({
        config: { maxAttempts: 10, retryPolicy: Schedule.recurs(1) },
        executor: Executor.layerFake({ success: false })
      })
      yield* store.add(tasks("a"))
      const { counts, stats } = yield* orchestrator.run
      assert.deepStrictEqual([counts.failed, stats.executions, stats.tasksRetried], [1, 2, 1])
    })
  )

  it.effect("waits for the next date of a cron schedule", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 10, 29, 12, 20))
      const { journal, orchestrator, store } = yield* make({
        config: { retryPolicy: Schedule.cron("0 * * * *", "UTC") },
        executor: Executor.layerFake({ failures: 2 })
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      assert.deepInclude(yield* journal.next("TaskRetried"), { delayMillis: 40 * 60_000 })
      yield* TestClock.adjust("40 minutes")
      assert.deepInclude(yield* journal.next("TaskRetried"), { delayMillis: 60 * 60_000 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(run)).counts.completed, 1)
    })
  )

  it.effect("receives the outcome of every attempt, including those before a restart", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<unknown>> = []
      const retryPolicy: RetryPolicy.RetryPolicy = Schedule.spaced(Duration.zero).pipe(
        Schedule.setInputType<RetryPolicy.Input>(),
        Schedule.tap(({ input: { attempt, outcome } }) =>
          Effect.sync(() => seen.push([attempt, outcome._tag, Outcome.feedback(outcome)]))
        )
      )
      const store = yield* memoryStore
      const executor = Executor.layer((_task, { attempt }) =>
        attempt === 1
          ? Effect.fail(new ExecutionError({ reason: "Failed", message: "out of memory" }))
          : Effect.succeed(Execution.make({ output: "x" }))
      )
      const verifier = Verifier.layerPure(() => Verification.reject("too short"))
      const parts = { config: { maxAttempts: 4, retryPolicy }, executor, verifier, store: layerOf(store) }
      yield* store.add(tasks("a"))
      // Each attempt runs in another process.
      for (let attempt = 1; attempt <= 4; attempt++) {
        seen.length = 0
        const { orchestrator } = yield* make({ ...parts, safety: Safety.layerCircuitBreaker({ maxIterations: 1 }) })
        yield* orchestrator.run
        if (attempt !== 3) continue
        assert.deepStrictEqual(seen, [
          [1, "Errored", "out of memory"],
          [2, "Rejected", "too short"],
          [3, "Rejected", "too short"]
        ])
      }
      assert.strictEqual((yield* get(store, "a")).status, "failed")
    })
  )

  it.effect("starts over when the task is requeued", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const { orchestrator, store } = yield* make({
        config: {
          maxAttempts: 3,
          retryPolicy: Schedule.spaced(Duration.zero).pipe(
            Schedule.setInputType<RetryPolicy.Input>(),
            Schedule.tap(({ input }) => Effect.sync(() => seen.push(input.attempt)))
          )
        },
        executor: Executor.layerFake({ success: false })
      })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      yield* store.requeue({ status: "failed" })
      yield* orchestrator.run
      assert.deepStrictEqual(seen, [1, 1, 2, 1, 1, 2])
    })
  )
})

describe("RetryPolicy.transient", () => {
  it.effect("retries five times, first after half a second, doubling", () =>
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(RetryPolicy.transient)
      const delays: Array<number> = []
      for (let tries = 0; tries < 10; tries++) {
        const next = yield* Effect.option(step(0, new ExecutionError({ reason: "Transient", message: "busy" })))
        if (next._tag === "None") break
        delays.push(Duration.toMillis(next.value[1]))
      }
      assert.deepStrictEqual(delays, [500, 1000, 2000, 4000, 8000])
    }).pipe(withoutJitter)
  )
})
