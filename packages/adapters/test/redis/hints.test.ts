import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Hints from "../../src/redis/internal/hints.ts"

/** Something to look at, which counts how often it is looked at. */
const sight = (again: () => number = () => Infinity) => {
  const state = { looks: 0, seen: false }
  const look = Effect.sync((): Hints.Look<"seen"> => {
    state.looks++
    return state.seen ? { seen: "seen" } : { again: again() }
  })
  return { state, look }
}

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const everyMinute = () => 60_000

describe("whoever watches", () => {
  it.effect("looks at once", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      state.seen = true
      assert.strictEqual(yield* hints.watch(look, everyMinute), "seen")
      assert.strictEqual(state.looks, 1)
    })
  )

  it.effect("looks again when a hint says so, and not before", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      const watching = yield* start(hints.watch(look, everyMinute))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(state.looks, 1)
      state.seen = true
      hints.hint(0)
      assert.strictEqual(yield* Fiber.join(watching), "seen")
      assert.strictEqual(state.looks, 2)
    })
  )

  it.effect("looks again at the time that a hint names", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      yield* start(hints.watch(look, everyMinute))
      hints.hint(20_000)
      hints.hint(30_000)
      hints.hint(25_000)
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual(state.looks, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.looks, 2)
    })
  )

  it.effect("looks again at the time that the last look named", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight(() => 5_000)
      yield* start(hints.watch(look, everyMinute))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(state.looks, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(state.looks, 2)
    })
  )

  it.effect("looks from time to time when it hears nothing", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      yield* start(hints.watch(look, everyMinute))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(state.looks, 11)
    })
  )

  it.effect("misses no hint that comes while it looks", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      let looks = 0
      const look = Effect.sync((): Hints.Look<"seen"> => {
        looks++
        if (looks === 1) hints.hint(0)
        return looks === 1 ? { again: Infinity } : { seen: "seen" }
      })
      const watching = yield* start(hints.watch(look, everyMinute))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Fiber.join(watching), "seen")
    })
  )

  it.effect("does not look more often than a hundred times a second, however many hints there are", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      yield* start(hints.watch(look, everyMinute))
      for (let round = 0; round < 1000; round++) {
        hints.hint(0)
        yield* TestClock.adjust("1 millis")
      }
      assert.isAtMost(state.looks, 101)
      assert.isAbove(state.looks, 50)
    })
  )

  it.effect("is one of many, and each is told", () =>
    Effect.gen(function* () {
      const hints = yield* Hints.make
      const { look, state } = sight()
      const gone = yield* start(hints.watch(look, everyMinute))
      const watching = yield* Effect.forEach([1, 2, 3], () => start(hints.watch(look, everyMinute)))
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust("1 second")
      state.seen = true
      hints.hint(0)
      for (const fiber of watching) assert.strictEqual(yield* Fiber.join(fiber), "seen")
      assert.strictEqual(state.looks, 7)
    })
  )
})
