import { RateShares, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"

const sharesOf = (...wanted: ReadonlyArray<number>) => {
  const members = wanted.map((wanted, index) => ({ id: String(index), reports: 1, wanted: { model: wanted } }))
  return wanted.map((_, index) => RateShares.of(members, String(index), "model"))
}

const close = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.lengthOf(actual, expected.length)
  for (const [index, share] of actual.entries()) assert.closeTo(share, expected[index] ?? NaN, 1e-9)
}

describe("the shares of a limit", () => {
  it("are everything for the only process", () => close(sharesOf(0.1), [1]))
  it("are equal for those that want everything", () => close(sharesOf(1, 1, 1, 1), [0.25, 0.25, 0.25, 0.25]))
  it("leave to others what a process does not want", () => close(sharesOf(1, 0.2, 1), [0.4, 0.2, 0.4]))
  it("distribute what nobody wants", () => close(sharesOf(0.1, 0.3), [0.4, 0.6]))
  it("add up to everything, also for one that wants nothing", () => close(sharesOf(0, 1), [0, 1]))
  it("are those of one limit", () => {
    const members = [
      { id: "one", reports: 1, wanted: { a: 1, b: 1 } },
      { id: "two", reports: 1, wanted: { b: 1 } }
    ]
    assert.strictEqual(RateShares.of(members, "one", "a"), 1)
    assert.strictEqual(RateShares.of(members, "one", "b"), 0.5)
  })
})

it.effect("a process that no longer reports loses its share after 10 seconds", () =>
  Effect.gen(function* () {
    const { rateShares } = yield* TaskStore.TaskStore
    assert.isDefined(rateShares)
    const report = (id: string) => Effect.map(rateShares.report("account", { id, wanted: {} }), (all) => all.length)
    yield* report("dead")
    assert.strictEqual(yield* report("alive"), 2)
    for (let second = 0; second < 10; second++) {
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* report("alive"), 2)
    }
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* report("alive"), 1)
    // It was only suspended.
    assert.strictEqual(yield* report("dead"), 2)
  }).pipe(Effect.provide(TaskStore.layerMemory))
)
