import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { layerTemporary } from "./temporary.ts"

/** The number of tasks that one transaction changes. */
const chunkSize = 1000

const many = Array.from({ length: 2 * chunkSize + 1 }, (_, index) =>
  Task.makeNew({ id: `task-${index}`, description: "One of many." })
)
const ids = many.map(({ id }) => id)
const nothing = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }

describe("a search in a SQLite store", () => {
  it.effect("goes on after the tasks that one statement looks at", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const others = Array.from({ length: 10_001 }, (_, index) =>
        Task.makeNew({ id: `other-${index}`, description: "No." })
      )
      yield* store.add([...others, ...many])
      const { next, tasks } = yield* store.list({ text: "OF many", limit: 2, results: false })
      assert.deepStrictEqual(
        tasks.map(({ id }) => id),
        ids.slice(0, 2)
      )
      assert.strictEqual((yield* store.list({ text: "of many", cursor: next ?? "", limit: 1 })).tasks[0]?.id, ids[2])
      assert.deepStrictEqual(yield* store.list({ text: "nowhere", status: "pending" }), { tasks: [] })
    }).pipe(Effect.provide(layerTemporary, { local: true }))
  )
})

/** These changes are made in parts, so that other processes can write in between. No task may be skipped. */
describe("a change of many tasks in a SQLite store", () => {
  it.effect("cancels, requeues and prunes by status, in the order of adding", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add(many)
      assert.deepStrictEqual(yield* store.cancel({ status: "pending" }), ids)
      assert.deepStrictEqual({ ...(yield* store.counts) }, { ...nothing, cancelled: many.length })
      assert.deepStrictEqual(yield* store.requeue({ status: "cancelled" }), ids)
      assert.deepStrictEqual({ ...(yield* store.counts) }, { ...nothing, pending: many.length })
      yield* store.cancel({ status: "pending" })
      assert.strictEqual(yield* store.prune({ statuses: ["cancelled"] }), many.length)
      assert.deepStrictEqual({ ...(yield* store.counts) }, nothing)
    }).pipe(Effect.provide(layerTemporary, { local: true }))
  )

  it.effect("cancels and prunes by id, in the order given, also if an id is repeated", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add(many)
      const backwards = ids.toReversed()
      assert.deepStrictEqual(yield* store.cancel({ ids: [...backwards, ...backwards] }), backwards)
      assert.deepStrictEqual({ ...(yield* store.counts) }, { ...nothing, cancelled: many.length })
      assert.strictEqual(yield* store.prune({ statuses: ["cancelled"], ids: [...ids, ...ids] }), many.length)
    }).pipe(Effect.provide(layerTemporary, { local: true }))
  )

  it.effect("sweeps the tasks of dead workers", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add(many)
      yield* store.claim({ limit: many.length, owner: "victim", lease: Duration.seconds(1) })
      yield* TestClock.adjust("2 seconds")
      const swept = yield* store.sweep({ maxAttempts: 3, onCrash: "retry" })
      assert.deepStrictEqual(
        swept.map(({ taskId }) => taskId),
        ids
      )
      assert.deepStrictEqual({ ...(yield* store.counts) }, { ...nothing, pending: many.length })
    }).pipe(Effect.provide(layerTemporary, { local: true }))
  )
})
