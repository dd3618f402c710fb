import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Progress } from "../../src/view/Progress.ts"
import { safeText } from "../../src/view/safeText.ts"
import * as events from "./events.ts"

const make = (counts: Parameters<typeof events.counts>[0]) => new Progress(events.counts(counts), 0)

/** A number without digits, which would be left out of a cause. */
const letters = (n: number) => String(n).replace(/\d/g, (digit) => "abcdefghij"[Number(digit)] ?? "")

describe("Progress", () => {
  it("starts with the counts of the store", () => {
    const progress = make({ pending: 3, completed: 5, failed: 1, cancelled: 7 })
    progress.on(events.started(1, "a"))
    progress.on(events.started(1, "b"))
    progress.on(events.completed(2, "a"))
    progress.on(events.failed(2, "b", "no"))
    assert.deepInclude(progress, { total: 9, completed: 6, failed: 2 })
    assert.strictEqual(progress.running.size, 0)
  })

  it("a task that waits for a retry is not counted as running or done", () => {
    const progress = make({ pending: 1 })
    progress.on(events.started(1, "a"))
    progress.on(events.retried(2, "a", 1, 5000))
    assert.deepStrictEqual([progress.running.size, [...progress.retrying.values()]], [0, [7000]])
    progress.on(events.started(7, "a", 2))
    assert.deepStrictEqual([progress.running.size, progress.retrying.size], [1, 0])
  })

  it("tasks that were released, lost or cancelled are not counted as running", () => {
    const progress = make({ pending: 2 })
    progress.on(events.started(1, "a"))
    progress.on(events.started(1, "b"))
    progress.on(events.released(2, "a"))
    progress.on(events.cancelled(2, "b"))
    assert.deepStrictEqual([progress.running.size, progress.total], [0, 1])
  })

  it("a task whose last attempt was lost with its worker is a dead letter", () => {
    const progress = make({ in_progress: 2 })
    progress.on(events.reclaimed(1, "a", "failed"))
    progress.on(events.reclaimed(1, "b", "pending"))
    assert.strictEqual(progress.failed, 1)
  })

  it("the rate covers the last seconds, and the remaining time follows from the rate", () => {
    const progress = make({ pending: 100 })
    for (let second = 1; second <= 10; second++) {
      progress.on(events.completed(second, `a${second}`))
      progress.ratePerSecond(second * 1000)
    }
    assert.closeTo(progress.ratePerSecond(10_000), 1, 0.01)
    assert.closeTo(progress.remainingMillis(10_000) ?? 0, 90_000, 1000)
    for (let second = 11; second <= 30; second++) {
      for (let n = 0; n < 4; n++) progress.on(events.completed(second, `b${second}-${n}`))
      progress.ratePerSecond(second * 1000)
    }
    assert.closeTo(progress.ratePerSecond(30_000), 4, 0.3)
  })

  it("the rate covers the whole run while few tasks have ended", () => {
    const progress = make({ pending: 100 })
    assert.strictEqual(progress.ratePerSecond(5000), 0)
    assert.isUndefined(progress.remainingMillis(5000))
    progress.on(events.completed(60, "a"))
    assert.closeTo(progress.ratePerSecond(60_000), 1 / 60, 0.001)
  })

  it("counts a limited number of different reasons", () => {
    const progress = make({ pending: 5000 })
    for (let n = 0; n < 3000; n++) progress.on(events.failed(1, `t${n}`, n % 2 === 0 ? "same" : `reason ${letters(n)}`))
    const ranked = progress.failures.ranked()
    assert.deepStrictEqual(ranked[0], { text: safeText("same"), tasks: 1500 })
    assert.strictEqual(ranked.length, 1000)
  })

  it("adds up costs; an unknown cost makes the sum unknown", () => {
    const progress = make({ pending: 3 })
    progress.on(events.completed(1, "a", 1, 0.25))
    progress.on(events.completed(1, "b", 1, 0.5))
    assert.strictEqual(progress.usage?.costUsd, 0.75)
    progress.on(events.completed(1, "c", 1, null))
    assert.isNull(progress.usage?.costUsd)
  })

  it("tracks the step of each task: executing, verifying, or waiting to repeat a request", () => {
    const progress = make({ pending: 2 })
    progress.on(events.started(1, "a"))
    progress.on(events.executionRetried(2, "a", "429: slow down", 5000))
    const phase = (id: string) => {
      const { pause, phase } = progress.running.get(Task.TaskId.make(id)) ?? {}
      return [phase, pause?.until, pause?.reason]
    }
    assert.deepStrictEqual(phase("a"), ["executing", 7000, "429: slow down"])
    progress.on(events.executed(8, "a"))
    assert.deepStrictEqual(phase("a"), ["verifying", undefined, undefined])
    progress.on(events.resumed(9, "b"))
    assert.deepStrictEqual(phase("b"), ["verifying", undefined, undefined])
  })

  it("keeps the last failures, retried or not, and counts consecutive ones", () => {
    const progress = make({ pending: 50 })
    for (let n = 0; n < 30; n++) progress.on(events.failed(n, `t${n}`, "no"))
    progress.on(events.retried(31, "again", 1, 1000))
    assert.deepStrictEqual(
      progress.latest.slice(0, 2).map(({ isFinal, taskId }) => [String(taskId), isFinal]),
      [
        ["again", false],
        ["t29", true]
      ]
    )
    assert.strictEqual(progress.latest.length, 16)
    assert.strictEqual(progress.failuresInARow, 31)
    progress.on(events.completed(32, "again", 2))
    assert.strictEqual(progress.failuresInARow, 0)
    assert.strictEqual(progress.durations.count, 32)
  })

  it("tracks the state of the breaker", () => {
    const progress = make({ pending: 1 })
    progress.on(events.reasoned("CircuitOpened", 1, "five failed"))
    assert.deepStrictEqual(progress.breaker, { state: "open", reason: "five failed" })
    progress.on(events.reasoned("CircuitClosed", 2, "one succeeded"))
    assert.strictEqual(progress.breaker?.state, "closed")
  })
})
