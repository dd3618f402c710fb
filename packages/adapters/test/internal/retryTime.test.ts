import { assert, describe, it } from "@effect/vitest"
import { retryTimeIn } from "../../src/internal/retryTime.ts"

const now = Date.parse("2026-11-30T12:00:00Z")

describe("the time at which a program may be tried again", () => {
  for (const [text, expected] of [
    ["retry at 2026-11-30T18:00:00Z", "2026-11-30T18:00:00Z"],
    ["retry at: 2026-11-30T18:00:00+02:00", "2026-11-30T16:00:00Z"],
    ["error: quota\nretry after 90\n", "2026-11-30T12:01:30Z"],
    ["Retry-After: 90", "2026-11-30T12:01:30Z"],
    ["Claude AI usage limit reached|1764525600", "2025-11-30T18:00:00Z"],
    ["5-hour limit reached ∙ resets 3pm (UTC)", "2026-11-30T15:00:00Z"],
    ["5-hour limit reached ∙ resets 11am (UTC)", "2026-12-01T11:00:00Z"],
    ["You've hit your limit · resets 3:30pm (Europe/Berlin)", "2026-11-30T14:30:00Z"],
    ["You've hit your session limit · resets 12am (America/New_York)", "2026-12-01T05:00:00Z"],
    ["Weekly limit reached ∙ resets Dec 6, 1pm (UTC)", "2026-12-06T13:00:00Z"],
    ["Weekly limit reached ∙ resets Jan 2 at 1am (UTC)", "2027-01-02T01:00:00Z"],
    ["You've hit your usage limit. Try again in 2 days 3 hours 22 minutes.", "2026-12-02T15:22:00Z"],
    ["Try again in 1 hour and 5 minutes.", "2026-11-30T13:05:00Z"],
    ["or try again at 3:02 PM (UTC).", "2026-11-30T15:02:00Z"],
    ["try again at Dec 6th, 2026 1:00 PM (UTC).", "2026-12-06T13:00:00Z"],
    ["try again in 20s", "2026-11-30T12:00:20Z"]
  ] as const) {
    it(`is read from: ${JSON.stringify(text)}`, () => {
      const found = retryTimeIn(text, now)
      assert.strictEqual(found === null ? null : new Date(found).toISOString(), new Date(expected).toISOString())
    })
  }

  for (const text of [
    "",
    "the limit",
    "retry at noon",
    "reset 5 tasks",
    "resets in no time",
    "try again later",
    "retry at 2026-99-99T99:99:99Z"
  ]) {
    it(`is not read from: ${JSON.stringify(text)}`, () => assert.isNull(retryTimeIn(text, now)))
  }
})
