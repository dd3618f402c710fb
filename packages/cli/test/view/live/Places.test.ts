import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Places } from "../../../src/view/live/Places.ts"
import type { Running } from "../../../src/view/Progress.ts"

const running = (...tasks: ReadonlyArray<readonly [id: string, startedAt: number]>) =>
  new Map(
    tasks.map(([id, startedAt]): readonly [Task.TaskId, Running] => [
      Task.TaskId.make(id),
      { attempt: 1, description: id, startedAt, phase: "executing", pause: undefined }
    ])
  )

const options = { now: 10_000, limit: 4, isHectic: false }
const ids = (shown: ReturnType<Places["assign"]>) => shown.map((task): string | undefined => task?.[0])

describe("Places", () => {
  it("a task keeps its line until it ends; the next task takes the free line", () => {
    const places = new Places(3)
    assert.deepStrictEqual(ids(places.assign(running(["a", 1], ["b", 2], ["c", 3]), options)), ["a", "b", "c"])
    assert.deepStrictEqual(ids(places.assign(running(["a", 1], ["c", 3]), options)), ["a", undefined, "c"])
    assert.deepStrictEqual(ids(places.assign(running(["a", 1], ["c", 3], ["d", 4]), options)), ["a", "d", "c"])
  })

  it("shows the tasks that started first if there are more tasks than lines", () => {
    const places = new Places(2)
    assert.deepStrictEqual(ids(places.assign(running(["a", 1], ["b", 2], ["c", 3]), options)), ["a", "b"])
  })

  it("does not show a task that has just started; if tasks are fast, it shows only slow ones", () => {
    const places = new Places(2)
    const tasks = running(["old", 5000], ["new", 9900])
    assert.deepStrictEqual(ids(places.assign(tasks, options)), ["old", undefined])
    const rush = running(["old", 5000], ["new", 9000])
    assert.deepStrictEqual(ids(new Places(2).assign(rush, { ...options, isHectic: true })), ["old", undefined])
    assert.deepStrictEqual(ids(new Places(2).assign(rush, options)), ["old", "new"])
  })

  it("the column for ids grows and never shrinks", () => {
    const places = new Places(1)
    places.assign(running(["a-long-id", 1]), options)
    places.assign(running(["b", 1]), options)
    assert.strictEqual(places.idWidth, 9)
    places.widen([{ taskId: Task.TaskId.make("要約してください") }])
    assert.strictEqual(places.idWidth, 16)
  })
})
