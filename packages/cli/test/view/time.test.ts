import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration } from "effect"
import { age, elapsed, moment } from "../../src/view/time.ts"

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
