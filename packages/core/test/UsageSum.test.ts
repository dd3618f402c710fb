import { Usage, UsageSum } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"

const texts = (usages: ReadonlyArray<Usage.Usage>) => usages.map((usage) => JSON.stringify(usage))

const known: Usage.Usage = { inputTokens: 5, outputTokens: 4, cacheReadTokens: 3, cacheWriteTokens: 2, costUsd: 0.5 }

describe("UsageSum", () => {
  it.prop("reads a stored usage as what it was", [Usage.Usage], ([usage]) => {
    assert.deepStrictEqual(UsageSum.ofJson(JSON.stringify(usage)), UsageSum.of(usage))
    assert.deepStrictEqual(UsageSum.ofJson(JSON.stringify({ ...known, costUsd: usage.costUsd })), {
      ...UsageSum.of({ ...known, costUsd: usage.costUsd })
    })
  })

  it("is zero for no usage and for a damaged text", () => {
    assert.strictEqual(UsageSum.ofJson(null), UsageSum.zero)
    assert.deepStrictEqual(UsageSum.ofJson('{"inputTokens":1'), UsageSum.zero)
    assert.isUndefined(UsageSum.toUsage(UsageSum.zero))
  })

  it.each([0, 1e-7, 3.75e-8, 0.0123, 1234.5, 5e-10])("keeps the cost $%s in whole nano-dollars", (costUsd) => {
    const sum = UsageSum.ofJson(JSON.stringify({ ...known, costUsd }))
    assert.strictEqual(sum.minNanoUsd, Math.round(costUsd * 1e9))
    assert.deepStrictEqual(UsageSum.fromColumns(UsageSum.columns.map((name) => sum[name])), sum)
  })

  it("is the same after usages were added and taken away in any order", () => {
    const some = Array.from({ length: 50 }, (_, index) => ({ ...known, costUsd: index / 7e8 }))
    const others = [Usage.atMost({ costUsd: 0.02, tokens: 30 }), { ...known, costUsd: null }]
    const all = texts([...some, ...others])
    const sum = all.reduce((left, text) => UsageSum.add(left, UsageSum.change(null, text)), UsageSum.zero)
    const rest = [...all].reverse().reduce((left, text) => UsageSum.add(left, UsageSum.change(text, null)), sum)
    assert.deepStrictEqual({ ...rest }, { ...UsageSum.zero })
  })

  it("is one usage, with the bounds of unknown costs", () => {
    const bounded = Usage.atMost({ costUsd: 0.02, tokens: 30 })
    assert.deepStrictEqual(UsageSum.toUsage(UsageSum.of(known)), known)
    assert.deepStrictEqual(
      UsageSum.toUsage(UsageSum.add(UsageSum.of(known), UsageSum.of(bounded))),
      Usage.add(known, bounded)
    )
    const unpriced = { ...Usage.zero, costUsd: null }
    assert.deepStrictEqual(UsageSum.toUsage(UsageSum.of(unpriced)), unpriced)
  })
})
