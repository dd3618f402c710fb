import { assert, describe, it } from "@effect/vitest"
import * as Style from "../../src/view/style.ts"
import { Progress } from "../../src/view/Progress.ts"
import * as progressLine from "../../src/view/progressLine.ts"
import * as events from "./events.ts"

const busy = () => {
  const progress = new Progress(events.counts({ pending: 400 }), 0)
  for (let n = 0; n < 100; n++) progress.on(events.completed(10, `done-${n}`, 1, 0.01))
  for (let n = 0; n < 8; n++) progress.on(events.started(10, `running-${n}`))
  progress.on(events.retried(10, "again", 1, 1000))
  progress.on(events.failed(10, "dead", "no"))
  return progress
}

const view = { now: 10_000, endless: false, waiting: undefined }
const live = (progress: Progress, columns: number, style = Style.none) =>
  progressLine.live(progress, view, { columns, style })

describe("progressLine", () => {
  it("shows done, running, retrying and dead tasks, the rate, the remaining time, the elapsed time and the cost", () => {
    assert.strictEqual(
      live(busy(), 200),
      "█████░░░░░░░░░░░  100/400 done  8 running  1 retrying  1 failed  10/s  ETA 30s  10s  $1.00"
    )
  })

  it("omits the least important parts on a narrow terminal, and never exceeds its width", () => {
    assert.strictEqual(live(busy(), 70), "100/400 done  8 running  1 retrying  1 failed  10/s  ETA 30s")
    for (let columns = 1; columns < 120; columns++) assert.isAtMost(live(busy(), columns).length, columns)
    assert.strictEqual(live(busy(), 20), "100/400 done  8 run…")
  })

  it("has no escape sequences without colours, and the same text with colours", () => {
    // eslint-disable-next-line no-control-regex
    const escapes = /\u001B\[\d+m/g
    assert.notMatch(live(busy(), 100), escapes)
    assert.match(live(busy(), 100, Style.colored), escapes)
    assert.strictEqual(live(busy(), 100, Style.colored).replace(escapes, ""), live(busy(), 100))
  })

  it("does not count tasks as running while their results are being stored", () => {
    const progress = busy()
    progress.concurrency = 2
    assert.include(progressLine.plain(progress, view, Style.none), "2 running")
  })

  it("shows what the run waits for instead of the rate", () => {
    const progress = new Progress(events.counts({ pending: 1, in_progress: 3, completed: 6 }), 0)
    assert.strictEqual(
      progressLine.plain(progress, { ...view, waiting: "waiting for 3 tasks of other workers" }, Style.none),
      "6/10 done, waiting for 3 tasks of other workers"
    )
  })

  it("a worker shows no total and no remaining time", () => {
    const progress = busy()
    assert.strictEqual(
      progressLine.plain(progress, { ...view, endless: true }, Style.none),
      "100 done, 8 running, 1 retrying, 1 failed, 10/s, 10s, $1.00"
    )
  })

  it("a run that is paused or draining says so and shows no remaining time", () => {
    const progress = busy()
    progress.on(events.plain("Paused", 10))
    assert.include(progressLine.plain(progress, view, Style.none), "1 failed, paused, 10/s, 10s")
    progress.on(events.reasoned("Draining", 10, "the run was interrupted"))
    assert.include(progressLine.plain(progress, view, Style.none), "1 failed, draining, 10/s, 10s")
  })

  it("rates have a readable unit", () => {
    assert.deepStrictEqual([12_345, 45.2, 4.52, 1, 0.5, 0.01].map(progressLine.perSecond), [
      "12,345/s",
      "45/s",
      "4.5/s",
      "1.0/s",
      "30/min",
      "36/h"
    ])
  })
})
