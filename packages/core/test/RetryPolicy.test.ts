import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Random, Schedule, Schema } from "effect"
import { ExecutionError, RetryPolicy } from "@baton/core"

const millis = (policy: RetryPolicy.RetryPolicy, attempt: number) =>
  Effect.map(RetryPolicy.delayAfter(policy, attempt), Duration.toMillis)

/** The same without luck: the middle of the jitter. */
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

  it.effect("takes another start, factor and cap", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ base: "100 millis", factor: 3, max: "1 second" })
      const delays = yield* Effect.forEach([1, 2, 3, 4], (attempt) => millis(policy, attempt))
      assert.deepStrictEqual(delays, [100, 300, 900, 1000])
    }).pipe(withoutJitter)
  )

  it.effect.prop(
    "stays within a fifth of the capped exponential, for any attempt",
    [Attempt, Millis, Millis],
    ([attempt, base, max]) =>
      Effect.gen(function* () {
        const delay = yield* millis(RetryPolicy.exponential({ base, max }), attempt)
        const middle = Math.min(max, base * 2 ** (attempt - 1))
        assert.isAtLeast(delay, 0.8 * middle - 1e-6)
        assert.isAtMost(delay, 1.2 * middle + 1e-6)
      }),
    { arbitrary: { runs: 50 } }
  )

  it.effect("spreads: a hundred tasks that failed together do not come back together", () =>
    Effect.gen(function* () {
      const delays = yield* Effect.forEach(Array.from({ length: 100 }), () => millis(RetryPolicy.exponential(), 3))
      assert.isAtLeast(new Set(delays).size, 50)
    })
  )

  it.effect("depends on nothing but the attempt: a restart goes on where it was", () =>
    Effect.gen(function* () {
      const policy = Schedule.exponential("1 second")
      const before = yield* millis(policy, 4)
      // Another process asks for the first time, for the same attempt.
      assert.strictEqual(yield* millis(Schedule.exponential("1 second"), 4), before)
      assert.strictEqual(before, 8000)
    })
  )

  it.effect("a schedule that has ended keeps its last delay", () =>
    Effect.gen(function* () {
      const policy = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))
      const delays = yield* Effect.forEach([1, 2, 3, 4, 50], (attempt) => millis(policy, attempt))
      assert.deepStrictEqual(delays, [1000, 2000, 4000, 4000, 4000])
    })
  )

  it.effect("is nothing for a schedule that never began, and for no attempt", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* millis(Schedule.recurs(0), 1), 0)
      assert.strictEqual(yield* millis(RetryPolicy.exponential(), 0), 0)
    })
  )

  it.effect("can be no delay at all", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 100], (attempt) => millis(RetryPolicy.immediate, attempt)),
        [0, 0, 0]
      )
    })
  )

  it.effect("tells the schedule the number of the attempt", () =>
    Effect.gen(function* () {
      const policy = Schedule.identity<number>().pipe(
        Schedule.modifyDelay(({ output }) => Effect.succeed(Duration.seconds(output * 10)))
      )
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 3], (attempt) => millis(policy, attempt)),
        [10_000, 20_000, 30_000]
      )
    })
  )
})

describe("RetryPolicy.transient", () => {
  it.effect("tries five more times, half a second apart at first, doubling", () =>
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
