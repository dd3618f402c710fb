import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as deadlines from "../src/internal/run/deadlines.ts"

const aMinute = Duration.minutes(1)

describe("deadlines", () => {
  it.effect("are reached in the order in which they were set, except for those that were cleared", () =>
    Effect.gen(function* () {
      const reached: Array<string> = []
      const { clear, loop, set } = yield* deadlines.make<string>(aMinute, (key) => reached.push(key))
      yield* Effect.forkChild(loop)
      const [first, second, third, fourth, last] = ["first", "second", "third", "fourth", "last"].map(set)
      clear(first)
      clear(third)
      clear(last)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(reached, [])
      const later = set("later")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(reached, ["second", "fourth"])
      clear(second)
      clear(fourth)
      yield* TestClock.adjust("58 seconds")
      clear(later)
      set("again")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(reached, ["second", "fourth", "again"])
    })
  )

  it.effect("are not reached when the clock of the machine is set", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let set = 0n
      const machine = { ...clock, currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + set }
      const reached: Array<string> = []
      const made = yield* Effect.provideService(
        deadlines.make<string>(aMinute, (key) => reached.push(key)),
        Clock.Clock,
        machine
      )
      yield* Effect.forkChild(made.loop)
      made.set("due")
      yield* TestClock.adjust("59 seconds")
      made.set("not due")
      set = 3_600_000_000_000n
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(reached, ["due"])
    })
  )

  it.effect("of an infinite duration are never set", () =>
    Effect.gen(function* () {
      const { clear, set } = yield* deadlines.make<string>(Duration.infinity, () => {})
      const deadline = set("never")
      assert.isUndefined(deadline)
      clear(deadline)
    })
  )
})
