import { type Event, Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { fromProgress, TaskSlots, type ViewOptions } from "../../../src/view/live/fromProgress.ts"
import { Progress, type Running } from "../../../src/view/Progress.ts"
import * as events from "../events.ts"

const defaults: ViewOptions = {
  now: 10_000,
  endless: false,
  maxAttempts: 3,
  limits: {},
  rateLimitedSince: () => undefined,
  waiting: undefined,
  hints: [],
  help: undefined
}

const open = (pending: number, ...fed: ReadonlyArray<Parameters<Progress["on"]>[0]>) => {
  const progress = new Progress(events.counts({ pending }), 0)
  progress.concurrency = 4
  for (const event of fed) progress.on(event)
  return (options: Partial<ViewOptions> = {}) => fromProgress(progress, new TaskSlots(), { ...defaults, ...options })
}

describe("the view of a run", () => {
  it("shows for each task whether it executes, is verified, waits for a retry, or waits for the rate limit", () => {
    const view = open(
      9,
      events.started(1, "executed"),
      events.started(2, "verified"),
      events.executed(3, "verified"),
      events.started(3, "again"),
      events.executionRetried(8, "again", "529: overloaded", 5000),
      events.started(4, "paced")
    )
    const paced = Task.TaskId.make("paced")
    const { tasks } = view({ rateLimitedSince: (id) => (id === paced ? 6000 : undefined) })
    assert.deepStrictEqual(
      tasks.map((task) => [task?.id, task?.doing, task?.waitMillis, task?.text]),
      [
        ["executed", "executing", 0, "do executed"],
        ["verified", "verifying", 0, "do verified"],
        ["again", "waiting", 3000, "529: overloaded"],
        ["paced", "rate limited", 0, "do paced"]
      ]
    )
    // After the wait, before the next event.
    const later = view({ now: 14_000, rateLimitedSince: () => 13_900 })
    assert.deepStrictEqual(
      later.tasks.map((task) => task?.doing),
      ["executing", "verifying", "executing", "executing"]
    )
  })

  it("counts every task once", () => {
    const { completed, failed, pending, retrying, running, total } = open(
      10,
      events.started(1, "a"),
      events.started(1, "b"),
      events.started(1, "c"),
      events.started(1, "d"),
      events.completed(2, "a"),
      events.failed(2, "b", "no"),
      events.retried(2, "c", 1, 60_000)
    )()
    assert.deepStrictEqual([completed, failed, running, retrying, pending, total], [1, 1, 1, 1, 6, 10])
  })

  it("has at most one line per task, and shows whether the run is paused, ending or waiting", () => {
    const view = open(2, events.started(1, "a"))
    assert.strictEqual(view().tasks.length, 1)
    assert.strictEqual(open(2, events.started(1, "a"), events.started(1, "b"))().tasks.length, 2)
    const more = ["a", "b", "c", "d", "e"].map((id) => events.started(1, id))
    assert.strictEqual(open(2, ...more)({ endless: true }).tasks.length, 4)
    const done = open(2, events.started(1, "a"), events.completed(2, "a"))
    assert.isDefined(done().remainingMillis)
    assert.isUndefined(done({ endless: true }).remainingMillis)
    assert.strictEqual(view().state, "running")
    assert.strictEqual(view({ waiting: "next retry in 5s" }).state, "waiting")
    assert.strictEqual(open(2, events.plain("Paused", 1))().state, "paused")
    assert.strictEqual(open(2, events.plain("Paused", 1), events.reasoned("Draining", 2, "stop"))().state, "draining")
  })

  it("shows what a task reports itself, or the last line of its output, before its description", () => {
    const text = (...reported: ReadonlyArray<Event.Event>) =>
      open(4, events.started(1, "a"), ...reported)().tasks[0]?.text
    assert.strictEqual(text(), "do a")
    assert.strictEqual(text(events.progress(2, "a", { text: "reading\nmore" })), "reading… · do a")
    assert.strictEqual(text(events.progress(2, "a", { text: "reading", fraction: 0.429 })), "42%  reading · do a")
    assert.strictEqual(text(events.progress(2, "a", { fraction: 1 })), "100%  do a")
    assert.strictEqual(text(events.progress(2, "a", { output: "one\ntwo\n \n" })), "two · do a")
    const bar = events.progress(2, "a", { output: "\r10 %\r\u001b[1m20 %\r", fraction: 0.2 })
    assert.strictEqual(text(bar), "20%  20 % · do a")
    assert.strictEqual(text(events.progress(2, "a", { output: "\n" })), "do a")
  })

  it("has one line for tasks that end faster than one can read", () => {
    const many = Array.from({ length: 500 }, (_, n) => events.completed(9, `t${n}`))
    const view = open(1000, ...many, events.started(9, "now"), events.started(9, "and-now"))()
    assert.deepStrictEqual(view.tasks, [])
    assert.strictEqual(view.message, "tasks finish too fast to be listed")
  })
})

const running = (...tasks: ReadonlyArray<readonly [id: string, startedAt: number]>) =>
  new Map(
    tasks.map(([id, startedAt]): readonly [Task.TaskId, Running] => [
      Task.TaskId.make(id),
      { attempt: 1, description: id, startedAt, phase: "executing", progress: undefined, pause: undefined }
    ])
  )

const options = { now: 10_000, limit: 4, isFast: false }
const ids = (shown: ReturnType<TaskSlots["assign"]>) =>
  shown.map(({ endedAt, id }) => (endedAt === undefined ? id : `${id} ended`))

describe("TaskSlots", () => {
  it("a task keeps its line until it ends; the next task takes the line", () => {
    const slots = new TaskSlots()
    assert.deepStrictEqual(ids(slots.assign(running(["a", 1], ["b", 2], ["c", 3]), options)), ["a", "b", "c"])
    assert.deepStrictEqual(ids(slots.assign(running(["a", 1], ["c", 3]), options)), ["a", "b ended", "c"])
    assert.deepStrictEqual(ids(slots.assign(running(["a", 1], ["c", 3], ["d", 4]), options)), ["a", "d", "c"])
    assert.deepStrictEqual(ids(slots.assign(running(["d", 4], ["c", 3], ["a", 9]), options)), ["a", "d", "c"])
  })

  it("the line of an ended task is removed after a second if no task takes it, as near the end of a list", () => {
    const slots = new TaskSlots()
    slots.assign(running(["a", 1], ["b", 2], ["c", 3]), options)
    const last = running(["c", 3])
    const at = (now: number) => ids(slots.assign(last, { ...options, now }))
    assert.deepStrictEqual(at(20_000), ["a ended", "b ended", "c"])
    assert.deepStrictEqual(at(20_999), ["a ended", "b ended", "c"])
    assert.deepStrictEqual(at(21_000), ["c"])
  })

  it("shows the tasks that started first if there are more tasks than lines", () => {
    const three = running(["a", 1], ["b", 2], ["c", 3])
    assert.deepStrictEqual(ids(new TaskSlots().assign(three, { ...options, limit: 2 })), ["a", "b"])
  })

  it("has no blank line for a task that has just started; if tasks are fast, it shows only slow ones", () => {
    const tasks = running(["old", 5000], ["new", 9999])
    assert.deepStrictEqual(ids(new TaskSlots().assign(tasks, options)), ["old", "new"])
    const slots = new TaskSlots()
    assert.deepStrictEqual(ids(slots.assign(tasks, { ...options, isFast: true })), ["old"])
    assert.deepStrictEqual(ids(slots.assign(running(["new", 9999]), { ...options, isFast: true })), [])
  })

  it("the column for ids grows and never shrinks", () => {
    const slots = new TaskSlots()
    slots.assign(running(["a-long-id", 1]), options)
    slots.assign(running(["b", 1]), options)
    assert.strictEqual(slots.idWidth, 9)
    slots.widen([{ taskId: Task.TaskId.make("要約してください") }])
    assert.strictEqual(slots.idWidth, 16)
  })
})
