import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { ExecutionError } from "@baton/core"
import { executionOf } from "../../src/claude-code/internal/execution.ts"
import { readSession } from "../../src/claude-code/internal/session.ts"

const now = Date.parse("2026-11-30T12:00:00Z")

/** A session that ended with this answer, as versions report a limit that send no event about it. */
const endedWith = (result: string, options: { readonly is_error: boolean; readonly terminal_reason?: string }) => {
  const { session } = readSession()
  const ended = {
    exit: { exitCode: options.is_error ? 1 : 0, signal: null, endedBy: "itself", durationMillis: 1 } as const,
    session: {
      ...session,
      sessionId: "s",
      result: { type: "result", subtype: "success", result, ...options } as const
    },
    resumedFrom: undefined,
    stderrTail: "",
    now,
    maxRetryAfter: Duration.minutes(5),
    isOwnModel: false
  }
  return executionOf(ended, {})
}

describe("a usage limit in the answer of Claude Code", () => {
  for (const [answer, expected] of [
    ["Claude AI usage limit reached|1796061600", 1796061600000],
    ["5-hour limit reached ∙ resets 3pm (UTC)", Date.parse("2026-11-30T15:00:00Z")],
    ["You've hit your limit · resets Dec 4, 9am (UTC)", Date.parse("2026-12-04T09:00:00Z")]
  ] as const) {
    for (const terminal_reason of ["api_error", undefined]) {
      it(`is found in ${JSON.stringify(answer)} (${terminal_reason ?? "no terminal reason"})`, () => {
        const error = endedWith(answer, { is_error: true, ...(terminal_reason && { terminal_reason }) })
        assert.instanceOf(error, ExecutionError)
        assert.deepStrictEqual([error.reason, error.retryAt?.epochMilliseconds], ["RateLimited", expected])
      })
    }
  }

  it("without a time pauses the queue for a while", () => {
    const error = endedWith("Claude usage limit reached.", { is_error: true, terminal_reason: "api_error" })
    assert.instanceOf(error, ExecutionError)
    assert.deepStrictEqual([error.reason, error.retryAt], ["RateLimited", undefined])
  })

  it("is not looked for in a successful answer", () => {
    assert.notInstanceOf(endedWith("5-hour limit reached ∙ resets 3pm", { is_error: false }), ExecutionError)
  })
})
