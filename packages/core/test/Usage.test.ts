import { assert, describe, it } from "@effect/vitest"
import { Usage } from "@baton/core"

const numbers = Usage.Usage
const some: Usage.Usage = {
  inputTokens: 5,
  outputTokens: 4,
  cacheReadTokens: 3,
  cacheWriteTokens: 2,
  costUsd: 0.5
}

describe("Usage.add", () => {
  it.prop("does not depend on the order, and null adds nothing", [numbers, numbers], ([left, right]) => {
    assert.deepStrictEqual(Usage.add(left, right), Usage.add(right, left))
    assert.strictEqual(Usage.add(left, Usage.zero)?.costUsd === null, left.costUsd === null)
    assert.deepStrictEqual(Usage.add(left, undefined), left)
    assert.deepStrictEqual(Usage.add(undefined, right), right)
  })

  it("has an unknown cost if a part has, and is null when nothing was metered", () => {
    assert.isNull(Usage.add(some, { ...some, costUsd: null })?.costUsd)
    assert.isUndefined(Usage.add(undefined, undefined))
    assert.strictEqual(Usage.add(some, some)?.costUsd, 1)
    assert.deepStrictEqual(Usage.add(some, Usage.zero), some)
  })
})

describe("a call that was cut off", () => {
  const broke = Usage.atMost({ costUsd: 0.02, tokens: 30 })

  it("has an unknown cost with known bounds", () => {
    const sum = Usage.add(some, broke)
    assert.deepStrictEqual(sum, { ...some, costUsd: null, bounds: { minUsd: 0.5, maxUsd: 0.52, maxTokens: 44 } })
    assert.deepStrictEqual(Usage.add(sum, some)?.bounds, { minUsd: 1, maxUsd: 1.02, maxTokens: 58 })
    assert.deepStrictEqual(Usage.subtract(Usage.add(sum, some) ?? Usage.zero, sum ?? Usage.zero).costUsd, 0.5)
  })

  it("has no upper bound after usage without a price is added", () => {
    const sum = Usage.add(broke, { ...some, costUsd: null })
    assert.deepStrictEqual(sum?.bounds, { minUsd: 0, maxUsd: null, maxTokens: 44 })
    assert.isNull(Usage.maxUsd(sum ?? Usage.zero))
    assert.isNull(Usage.subtract(sum ?? Usage.zero, broke).costUsd)
  })

  it.prop("the larger of two reports has at least the usage of each", [numbers, numbers], ([left, right]) => {
    const larger = Usage.larger(left, right) ?? assert.fail("nothing")
    assert.deepStrictEqual(larger, Usage.larger(right, left))
    assert.isAtLeast(Usage.totalTokens(larger), Usage.totalTokens(left))
    assert.isAtLeast(Usage.minUsd(larger), Usage.minUsd(left))
    assert.deepStrictEqual(Usage.larger(undefined, left), left)
  })
})

describe("Usage.subtract", () => {
  it.prop("reverts an addition", [numbers, numbers], ([whole, part]) => {
    const sum = Usage.add(whole, part)
    if (sum === undefined) return assert.fail("nothing")
    const rest = Usage.subtract(sum, part)
    assert.strictEqual(Usage.totalTokens(rest), Usage.totalTokens(whole))
  })

  it.prop("is never below zero", [numbers, numbers], ([whole, part]) => {
    const rest = Usage.subtract(whole, part)
    for (const value of [rest.inputTokens, rest.outputTokens, rest.cacheReadTokens, rest.cacheWriteTokens]) {
      assert.isAtLeast(value, 0)
    }
    if (rest.costUsd !== null) assert.isAtLeast(rest.costUsd, 0)
  })

  it("of the whole is zero, even if its cost is unknown", () => {
    assert.deepStrictEqual(Usage.subtract(some, some), Usage.zero)
    const priceless = { ...some, costUsd: null }
    assert.deepStrictEqual(Usage.subtract(priceless, priceless), Usage.zero)
  })

  it("stays unknown if usage without a price is left", () => {
    const part = { ...some, outputTokens: 3 }
    assert.isNull(Usage.subtract({ ...some, costUsd: null }, { ...part, costUsd: null }).costUsd)
    assert.isNull(Usage.subtract({ ...some, costUsd: null }, some).costUsd)
  })
})

describe("Usage.totalTokens", () => {
  it("counts every kind", () => {
    assert.strictEqual(Usage.totalTokens(some), 14)
    assert.strictEqual(Usage.totalTokens(Usage.zero), 0)
  })
})
