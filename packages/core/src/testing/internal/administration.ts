import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  fail,
  find,
  id,
  ids,
  it,
  numbered,
  outcomes,
  retry,
  settle,
  statusOf,
  task,
  type World
} from "./world.ts"

const failNew = Effect.fnUntraced(function* (world: World, name: string) {
  yield* settle(world, fail(yield* claimNew(world, name), { feedback: "Refused.", output: "nothing useful" }))
})

const completeNew = Effect.fnUntraced(function* (world: World, name: string) {
  yield* settle(world, complete(yield* claimNew(world, name)))
})

const cancelNew = Effect.fnUntraced(function* (world: World, name: string) {
  yield* world.store.add([task(name)])
  yield* world.store.cancel({ ids: ids(name) })
})

export const administration: ReadonlyArray<Case> = [
  it(
    "a requeued task starts over: no attempts used, its history kept, what it learnt handed on",
    Effect.fnUntraced(function* (world) {
      yield* settle(world, retry(yield* claimNew(world, "a")))
      yield* settle(world, fail(yield* claimOne(world), { feedback: "Refused.", output: "nothing useful" }))
      assert.deepEqual(yield* world.store.requeue({ ids: ids("a") }), ["a"])
      const requeued = yield* find(world, "a")
      assert.equal(requeued.status, "pending")
      assert.equal(requeued.attempts, 0)
      assert.equal(requeued.requeues, 1)
      assert.equal(requeued.feedback, "Refused.")
      assert.deepEqual(yield* outcomes(world, "a"), ["retried", "failed"])
      const claimed = yield* claimOne(world)
      assert.equal(claimed.task.attempts, 1)
      assert.equal(claimed.token, 3)
      assert.equal(claimed.previousOutput, "nothing useful")
      yield* settle(world, fail(claimed))
      yield* world.store.requeue({ ids: ids("a") })
      assert.equal((yield* find(world, "a")).requeues, 2)
    })
  ),
  it(
    "a requeued task goes behind those that have been available for longer",
    Effect.fnUntraced(function* (world) {
      yield* failNew(world, "a")
      yield* world.pass(1)
      yield* world.store.add([task("b")])
      yield* world.pass(1)
      yield* world.store.requeue({ ids: ids("a") })
      assert.deepEqual(claimedIds(yield* claim(world)), ["b", "a"])
    })
  ),
  it(
    "only failed and cancelled tasks are requeued",
    Effect.fnUntraced(function* (world) {
      yield* completeNew(world, "completed")
      yield* failNew(world, "failed")
      yield* cancelNew(world, "cancelled")
      yield* claimNew(world, "running")
      yield* world.store.add([task("pending")])
      const all = ids("completed", "failed", "cancelled", "running", "pending", "nowhere")
      assert.deepEqual((yield* world.store.requeue({ ids: all })).toSorted(), ["cancelled", "failed"])
      assert.equal(yield* statusOf(world, "completed"), "completed")
      assert.equal(yield* statusOf(world, "running"), "in_progress")
      assert.deepEqual(yield* world.store.requeue({ ids: all }), [])
      assert.equal((yield* find(world, "pending")).requeues, 0)
    })
  ),
  it(
    "all tasks of a status can be requeued",
    Effect.fnUntraced(function* (world) {
      yield* failNew(world, "a")
      yield* failNew(world, "b")
      yield* cancelNew(world, "c")
      assert.deepEqual((yield* world.store.requeue({ status: "failed" })).toSorted(), ["a", "b"])
      assert.equal(yield* statusOf(world, "c"), "cancelled")
      assert.deepEqual(yield* world.store.requeue({ status: "completed" }), [])
      assert.deepEqual(yield* world.store.requeue({ status: "cancelled" }), ["c"])
    })
  ),
  it(
    "a cancelled task is not claimed",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b")])
      assert.deepEqual(yield* world.store.cancel({ ids: ids("a") }), ["a"])
      assert.deepEqual(claimedIds(yield* claim(world)), ["b"])
      assert.equal(yield* statusOf(world, "a"), "cancelled")
      assert.deepEqual(yield* world.store.attempts(id("a")), [])
    })
  ),
  it(
    "cancelling many tasks out of a line leaves the line in order",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add(numbered(10))
      yield* world.store.cancel({ ids: ids("task-0", "task-3", "task-4", "task-9") })
      const expected = ["task-1", "task-2", "task-5", "task-6", "task-7", "task-8"]
      assert.deepEqual(claimedIds(yield* claim(world)), expected)
    })
  ),
  it(
    "cancelling a running task ends its attempt and tells all runs",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a")
      const { revision } = yield* world.store.control
      assert.deepEqual(yield* world.store.cancel({ ids: ids("a") }), ["a"])
      assert.equal(yield* statusOf(world, "a"), "cancelled")
      assert.deepEqual(yield* outcomes(world, "a"), ["cancelled"])
      assert.ok((yield* world.store.control).revision > revision)
    })
  ),
  it(
    "only pending and running tasks are cancelled",
    Effect.fnUntraced(function* (world) {
      yield* completeNew(world, "completed")
      yield* failNew(world, "failed")
      yield* claimNew(world, "running")
      yield* world.store.add([task("pending")])
      const all = ids("completed", "failed", "running", "pending", "nowhere")
      assert.deepEqual((yield* world.store.cancel({ ids: all })).toSorted(), ["pending", "running"])
      assert.deepEqual(yield* world.store.cancel({ ids: all }), [])
      assert.equal(yield* statusOf(world, "failed"), "failed")
    })
  ),
  it(
    "all tasks of a status can be cancelled",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "running")
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      assert.deepEqual((yield* world.store.cancel({ status: "pending" })).toSorted(), ["a", "b"])
      assert.equal(yield* statusOf(world, "running"), "in_progress")
      assert.deepEqual(yield* world.store.cancel({ status: "in_progress" }), ["running"])
      assert.deepEqual(yield* world.store.cancel({ status: "failed" }), [])
    })
  ),
  it(
    "pruning takes tasks of the given statuses away, with their history",
    Effect.fnUntraced(function* (world) {
      yield* completeNew(world, "completed")
      yield* failNew(world, "failed")
      yield* cancelNew(world, "cancelled")
      yield* claimNew(world, "running")
      yield* world.store.add([task("pending")])
      assert.equal(yield* world.store.prune({ statuses: ["completed", "cancelled"] }), 2)
      assert.ok(Option.isNone(yield* world.store.get(id("completed"))))
      assert.deepEqual(yield* world.store.attempts(id("completed")), [])
      assert.ok(Option.isNone(yield* world.store.get(id("cancelled"))))
      assert.equal(yield* statusOf(world, "failed"), "failed")
      assert.equal(yield* statusOf(world, "running"), "in_progress")
      assert.equal(yield* statusOf(world, "pending"), "pending")
      assert.equal(yield* world.store.prune({ statuses: ["completed", "cancelled"] }), 0)
      assert.equal(yield* world.store.prune({ statuses: [] }), 0)
    })
  ),
  it(
    "pruning can be limited to ids",
    Effect.fnUntraced(function* (world) {
      yield* completeNew(world, "a")
      yield* completeNew(world, "b")
      yield* failNew(world, "c")
      assert.equal(yield* world.store.prune({ statuses: ["completed"], ids: ids("a", "c", "nowhere") }), 1)
      assert.equal(yield* world.store.prune({ statuses: ["completed"], ids: [] }), 0)
      assert.equal(yield* statusOf(world, "b"), "completed")
      assert.equal(yield* statusOf(world, "c"), "failed")
    })
  ),
  it(
    "pruning can be limited to what has not changed for long",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "old")
      yield* completeNew(world, "older")
      yield* world.pass(4)
      yield* settle(world, complete(claimed))
      yield* world.pass(1)
      assert.equal(yield* world.store.prune({ statuses: ["completed"], olderThan: world.seconds(3) }), 1)
      assert.equal(yield* statusOf(world, "old"), "completed")
      yield* world.pass(4)
      assert.equal(yield* world.store.prune({ statuses: ["completed"], olderThan: world.seconds(3) }), 1)
    })
  ),
  it(
    "an id is free again once its task is pruned",
    Effect.fnUntraced(function* (world) {
      yield* completeNew(world, "a")
      yield* world.store.prune({ statuses: ["completed"] })
      assert.deepEqual(yield* world.store.add([task("a", { priority: 3 })]), { added: ["a"], existing: 0 })
      const added = yield* find(world, "a")
      assert.deepEqual([added.status, added.priority, added.attempts], ["pending", 3, 0])
      assert.deepEqual(yield* world.store.attempts(id("a")), [])
    })
  )
]
