import { Durations } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"

const of = (...millis: ReadonlyArray<number>) => {
  const durations = new Durations()
  for (const duration of millis) durations.add(duration)
  return durations
}

describe("Durations", () => {
  it("returns percentiles with an error of a few percent", () => {
    const durations = of(...Array.from({ length: 1000 }, (_, n) => (n + 1) * 10))
    assert.closeTo(durations.quantile(0.5), 5000, 100)
    assert.closeTo(durations.quantile(0.95), 9500, 190)
    assert.closeTo(durations.quantile(1), 10_000, 200)
  })

  it("accepts zero, negative and very long durations", () => {
    const durations = of(0, -5, 3 * 86_400_000)
    assert.strictEqual(durations.quantile(0.5), 1)
    assert.closeTo(durations.quantile(0.99) / 86_400_000, 3, 0.06)
  })
})
