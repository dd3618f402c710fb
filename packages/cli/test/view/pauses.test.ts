import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { pauseLines, readTime } from "../../src/view/pauses.ts"

const now = Date.parse("2026-11-30T12:00:00Z")

const iso = (text: string) => {
  const time = readTime(text, now)
  return time === undefined ? undefined : DateTime.formatIso(time)
}

describe("a time that a person writes", () => {
  it("is a duration, a time of day, or a date with a time", () => {
    assert.strictEqual(iso("90m"), "2026-11-30T13:30:00.000Z")
    assert.strictEqual(iso("2026-12-01T09:00Z"), "2026-12-01T09:00:00.000Z")
    assert.strictEqual(iso("2026-12-01 09:00+02:00"), "2026-12-01T07:00:00.000Z")
    const [hour, minute] = [new Date(now - 60_000).getHours(), new Date(now - 60_000).getMinutes()]
    assert.strictEqual(
      iso(`${hour}:${String(minute).padStart(2, "0")}`),
      "2026-12-01T11:59:00.000Z",
      "a time that has passed today is tomorrow"
    )
  })

  for (const text of ["", "soon", "25:00", "12:61", "2h3", "2026-13-01T00:00"]) {
    it(`is not ${JSON.stringify(text)}`, () => assert.isUndefined(readTime(text, now)))
  }
})

describe("the line about a pause", () => {
  it("counts down, and says why and what follows", () => {
    const until = DateTime.makeUnsafe(now)
    const limit = { queue: "prompts", cause: "usage-limit", until, reason: "The five-hour limit is reached." } as const
    assert.deepStrictEqual(pauseLines([limit], now - 723_000), [
      "prompts waits for a usage limit until 2026-11-30 12:00:00Z (12m 03s left): The five-hour limit is reached."
    ])
    assert.deepStrictEqual(pauseLines([limit], now + 1), [
      "prompts waits for a usage limit since 2026-11-30 12:00:00Z, one task goes first: The five-hour limit is reached."
    ])
    assert.deepStrictEqual(pauseLines([{ ...limit, cause: "requested", until: undefined }], now), [
      "prompts is paused until it is resumed"
    ])
  })
})
