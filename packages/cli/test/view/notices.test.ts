import { type Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import * as Style from "../../src/view/style.ts"
import * as notices from "../../src/view/notices.ts"
import { Progress } from "../../src/view/Progress.ts"
import * as events from "./events.ts"

const progress = new Progress(events.counts({ pending: 9 }), 0)
progress.on(events.started(1, "c0ffee", 1, "Summarise the minutes of the meeting in March\nand keep it short"))
progress.on(events.started(1, "other"))

const reader = { hasKeys: false, isSignalled: false }

const line = (event: Event.Event, columns = Infinity, who: Partial<notices.NoticeContext> = {}) => {
  const notice = notices.fromEvent(event, progress, { ...reader, ...who })
  return notice === undefined ? undefined : notices.toLine(notice, { style: Style.none, columns })
}

describe("notices", () => {
  it("a dead letter is shown with its description and reason", () => {
    assert.strictEqual(
      line(events.failed(2, "c0ffee", "The verifier said:\nno")),
      "✗ c0ffee (Summarise the minutes of the meeting in…) failed after 3 attempts: The verifier said:…"
    )
  })

  it("events that need no action by a person print no line", () => {
    for (const event of [
      events.started(1, "a"),
      events.completed(2, "a"),
      events.retried(2, "a", 1, 100),
      events.ended(3, { _tag: "Drained", waiting: 0 })
    ]) {
      assert.isUndefined(line(event), event._tag)
    }
  })

  it("explains how to resume from a pause, and the effect of a second signal", () => {
    assert.strictEqual(line(events.plain("Paused", 1)), "! paused; run `baton resume` to resume")
    assert.strictEqual(
      line(events.reasoned("Draining", 1, "the run was interrupted"), Infinity, { isSignalled: true }),
      "! the run was interrupted: 2 tasks can finish; Ctrl-C again exits at once"
    )
    assert.strictEqual(
      line(events.reasoned("Draining", 1, "a stop was requested")),
      "! a stop was requested: 2 tasks can finish; Ctrl-C twice exits at once"
    )
    assert.strictEqual(line(events.plain("Paused", 1), Infinity, { hasKeys: true }), "! paused; press r to resume")
  })

  it("distinguishes a dead worker from a task that failed with it", () => {
    assert.strictEqual(
      line(events.reclaimed(1, "a", "pending")),
      "! a worker (host/1-abc) stopped responding; its tasks are taken over"
    )
    assert.strictEqual(
      line(events.reclaimed(1, "a", "failed")),
      "✗ a failed: its worker (host/1-abc) stopped responding"
    )
  })

  it("fits the width of the terminal", () => {
    assert.isAtMost(line(events.failed(2, "c0ffee", "x".repeat(500)), 60)?.length ?? 0, 60)
    assert.isAtMost(line(events.failed(2, "c0ffee", "x".repeat(5000)))?.length ?? 0, 500)
  })

  it("prints no control sequences from tasks", () => {
    // eslint-disable-next-line no-control-regex
    assert.notMatch(line(events.failed(2, "\u001B[2Jid", "\u001B]0;title\u0007\u001B[31mred")) ?? "", /\u001B/)
  })
})
