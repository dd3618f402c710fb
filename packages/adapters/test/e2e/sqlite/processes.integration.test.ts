import { Execution, Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import * as OtherProcess from "../../sqlite/otherProcess.ts"
import { folder } from "../../sqlite/temporary.ts"

const ids = (count: number, name = "task") => Array.from({ length: count }, (_, index) => `${name}-${index}`)

const newFile = Effect.map(folder, (path) => join(path, "baton.db"))

/** The store in this file, on a new connection of this process. */
const open = (filename: string) =>
  Effect.map(Layer.build(Layer.fresh(SqliteTaskStore.layer({ filename }))), (context) =>
    Context.get(context, TaskStore.TaskStore)
  )

const add = (store: TaskStore.TaskStore["Service"], names: ReadonlyArray<string>) =>
  store.add(names.map((id) => Task.makeNew({ id, description: `Do ${id}.` })))

const complete = ({ task, token }: TaskStore.Claim, output: string): TaskStore.Settlement => ({
  _tag: "Complete",
  taskId: task.id,
  token,
  execution: Execution.make({ output }),
  verified: false
})

describe("several processes on one SQLite store", () => {
  it.live("share the work: each task is completed once, by one of them", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* open(filename)
      const names = ids(300)
      yield* add(store, names)
      const others = yield* Effect.forEach([1, 2], () => OtherProcess.onStore(filename), { concurrency: 2 })
      const completed = yield* Effect.forEach(others, (other) => other.call({ op: "drain", limit: 5 }), {
        concurrency: 2
      })
      assert.deepStrictEqual(completed.flat().toSorted(), names.toSorted())
      for (const share of completed) assert.isAbove((share as ReadonlyArray<string>).length, 0)
      assert.strictEqual((yield* store.counts).completed, 300)
      for (const id of names) assert.lengthOf(yield* store.attempts(Task.TaskId.make(id)), 1)
    })
  )

  it.live("can all start on a store that does not exist yet", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "new", "baton.db")
      const others = yield* Effect.forEach([1, 2, 3], () => OtherProcess.idle)
      yield* Effect.forEach(
        others,
        (other, index) =>
          Effect.andThen(other.call({ op: "open", filename }), other.call({ op: "add", ids: [`task-${index}`] })),
        { concurrency: "unbounded" }
      )
      const store = yield* open(filename)
      assert.strictEqual((yield* store.counts).pending, 3)
    })
  )

  it.live("claim the tasks again that a killed process had claimed, and keep those that it had settled", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const victim = yield* OtherProcess.onStore(filename)
      yield* victim.call({ op: "add", ids: ids(20) })
      const settled = (yield* victim.call({ op: "claim", limit: 5, leaseMillis: 60_000 })) as ReadonlyArray<Lease>
      yield* victim.call({ op: "complete", leases: settled, output: "by the victim" })
      const held = (yield* victim.call({ op: "claim", limit: 5, leaseMillis: 300 })) as ReadonlyArray<Lease>
      yield* victim.kill

      const successor = yield* OtherProcess.onStore(filename)
      const completed = (yield* successor.call({ op: "drain", limit: 4 })) as ReadonlyArray<string>
      assert.lengthOf(completed, 15)
      for (const { taskId } of held) assert.include(completed, taskId)

      const store = yield* open(filename)
      assert.deepStrictEqual({ ...(yield* store.counts) }, { ...nothing, completed: 20 })
      for (const { taskId } of settled) {
        const task = yield* store.get(Task.TaskId.make(taskId))
        assert.strictEqual(Option.getOrThrow(task).result, "by the victim")
      }
      for (const { taskId } of held) {
        const attempts = yield* store.attempts(Task.TaskId.make(taskId))
        assert.deepStrictEqual(
          attempts.map(({ outcome }) => outcome),
          ["lease_expired", "completed"]
        )
      }
    })
  )

  it.live("survive when one is killed during writes, several times", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* open(filename)
      const names = ids(3000)
      yield* add(store, names)
      for (let round = 0; round < 3; round++) {
        const victim = yield* OtherProcess.onStore(filename)
        const before = (yield* store.counts).completed
        const draining = yield* Effect.forkChild(victim.call({ op: "drain", limit: 3 }), { startImmediately: true })
        yield* Effect.repeat(Effect.andThen(Effect.sleep("1 millis"), store.counts), {
          while: ({ completed }) => completed < before + 60
        })
        yield* victim.kill
        yield* Fiber.interrupt(draining)
      }
      const { completed, in_progress, pending } = yield* store.counts
      assert.strictEqual(completed + in_progress + pending, 3000)
      const page = yield* store.list({ status: "completed", limit: 3000 })
      assert.lengthOf(page.tasks, completed)
      for (const task of page.tasks) assert.match(task.result ?? "", /^by \d+$/)
      assert.lengthOf((yield* store.list({ status: "in_progress", limit: 3000 })).tasks, in_progress)
    })
  )

  it.effect("fence each other: a worker that lost its lease to another connection changes nothing", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const [paused, successor] = [yield* open(filename), yield* open(filename)]
      yield* add(paused, ["a"])
      const [stale] = yield* paused.claim({ limit: 1, owner: "paused", lease: Duration.seconds(1) })
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(yield* successor.sweep({ maxAttempts: 3, onCrash: "retry" }), 1)
      const [current] = yield* successor.claim({ limit: 1, owner: "successor", lease: Duration.minutes(1) })
      assert.ok(stale && current)
      assert.strictEqual(current.token, stale.token + 1)

      const lease = { taskId: stale.task.id, token: stale.token }
      const lost: TaskStore.FencedReply = { lost: [{ ...lease, status: "in_progress" }] }
      const execution = Execution.make({ output: "too late" })
      assert.deepStrictEqual(yield* paused.checkpoint([{ ...lease, execution }]), lost)
      assert.deepStrictEqual(yield* paused.extend([lease], Duration.minutes(1)), lost)
      assert.deepStrictEqual(yield* paused.settle([complete(stale, "too late")]), lost)
      assert.deepStrictEqual(yield* successor.settle([complete(current, "in time")]), { lost: [] })
      assert.strictEqual(Option.getOrThrow(yield* paused.get(stale.task.id)).result, "in time")
    })
  )

  it.live("wake each other: a task that another process adds is claimable at once", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* open(filename)
      const other = yield* OtherProcess.onStore(filename)
      const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
      yield* other.call({ op: "add", ids: ["a"] })
      assert.strictEqual(yield* Fiber.join(waiting), "claimable")
    })
  )

  it.live("notify each other when the list is drained", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* open(filename)
      const other = yield* OtherProcess.onStore(filename)
      yield* add(store, ["a"])
      const leases = (yield* other.call({ op: "claim", limit: 1, leaseMillis: 60_000 })) as ReadonlyArray<Lease>
      const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: true }), { startImmediately: true })
      yield* other.call({ op: "complete", leases, output: "done" })
      assert.strictEqual(yield* Fiber.join(waiting), "drained")
    })
  )

  it.live("notify each other of requests and cancelled tasks", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* open(filename)
      const other = yield* OtherProcess.onStore(filename)
      const paused = yield* Effect.forkChild(store.awaitControl(0), { startImmediately: true })
      yield* other.call({ op: "pause" })
      assert.deepStrictEqual(yield* Fiber.join(paused), { revision: 1, paused: true, stops: 0 })

      yield* add(store, ["a"])
      yield* store.claim({ limit: 1, owner: "here", lease: Duration.minutes(1) })
      const cancelled = yield* Effect.forkChild(store.awaitControl(1), { startImmediately: true })
      yield* other.call({ op: "cancel", id: "a" })
      assert.strictEqual((yield* Fiber.join(cancelled)).revision, 2)
    })
  )
})

interface Lease {
  readonly taskId: string
  readonly token: number
}

const nothing = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
