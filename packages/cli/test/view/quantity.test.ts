import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration } from "effect"
import { moment } from "../../src/system/moment.ts"
import { cost, count, number, usage, usd, age, elapsed } from "../../src/view/quantity.ts"

describe("quantity", () => {
  it("separates thousands", () => {
    assert.deepStrictEqual([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"])
  })

  it("uses singular and plural", () => {
    assert.strictEqual(count(1, "task"), "1 task")
    assert.strictEqual(count(0, "task"), "0 tasks")
    assert.strictEqual(count(1200, "try", "tries"), "1,200 tries")
  })

  it("shows small amounts of money, never as zero", () => {
    assert.deepStrictEqual([0, 0.00001, 0.0123, 0.5, 1, 1234.5].map(usd), [
      "$0.00",
      "< $0.0001",
      "$0.0123",
      "$0.5000",
      "$1.00",
      "$1,234.50"
    ])
  })

  it("shows usage, and an unknown price", () => {
    assert.strictEqual(
      usage({ ...Usage.zero, inputTokens: 1000, outputTokens: 234, costUsd: 0.0123 }),
      "1,234 tokens (1,000 in, 234 out), $0.0123"
    )
    assert.strictEqual(usage({ ...Usage.zero, costUsd: null }), "0 tokens, cost unknown")
  })

  it("shows the bounds of an uncertain cost", () => {
    const broke = Usage.atMost({ costUsd: 0.5, tokens: 100 })
    const known: Usage.Usage = { ...Usage.zero, costUsd: 0.25 }
    const unknown: Usage.Usage = { ...Usage.zero, costUsd: null }
    const sum = (other: Usage.Usage) => cost(Usage.add(known, other) ?? Usage.zero)
    assert.strictEqual(cost(broke), "at most $0.5000")
    assert.strictEqual(sum(broke), "$0.2500 to $0.7500")
    assert.strictEqual(sum(unknown), "$0.2500 and more, cost unknown")
  })
})

describe("time", () => {
  it("formats durations with a useful precision", () => {
    const cases: ReadonlyArray<readonly [Duration.Input, string]> = [
      [0, "0ms"],
      ["350 millis", "350ms"],
      ["4210 millis", "4.2s"],
      ["59990 millis", "59.9s"],
      ["185 seconds", "3m 05s"],
      ["130 minutes", "2h 10m"],
      ["51 hours", "2d 3h"]
    ]
    for (const [duration, text] of cases) assert.strictEqual(elapsed(Duration.fromInputUnsafe(duration)), text)
  })

  it("formats the age of something in one unit", () => {
    const cases: ReadonlyArray<readonly [Duration.Input, string]> = [
      [0, "now"],
      ["12 seconds", "12s"],
      ["185 seconds", "3m"],
      ["47 hours", "47h"],
      ["49 hours", "2d"]
    ]
    for (const [duration, text] of cases) assert.strictEqual(age(Duration.fromInputUnsafe(duration)), text)
  })

  it("treats a negative duration as zero", () => {
    assert.strictEqual(elapsed(Duration.millis(-5)), "0ms")
    assert.strictEqual(age(Duration.millis(-5)), "now")
  })

  it("formats a time in UTC to the second", () => {
    assert.strictEqual(moment(DateTime.makeUnsafe("2026-11-21T08:30:12.345Z")), "2026-11-21 08:30:12Z")
  })
})
