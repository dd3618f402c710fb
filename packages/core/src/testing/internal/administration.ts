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
  type Fixture
} from "./fixture.ts"

const failNew = Effect.fnUntraced(function* (fixture: Fixture, name: string) {
  yield* settle(fixture, fail(yield* claimNew(fixture, name), { feedback: "Refused.", output: "nothing useful" }))
})

const completeNew = Effect.fnUntraced(function* (fixture: Fixture, name: string) {
  yield* settle(fixture, complete(yield* claimNew(fixture, name)))
})

const cancelNew = Effect.fnUntraced(function* (fixture: Fixture, name: string) {
  yield* fixture.store.add([task(name)])
  yield* fixture.store.cancel({ ids: ids(name) })
})

export const administration: ReadonlyArray<Case> = [
  it(
    "a requeued task starts over with no attempts used, and keeps its history and feedback",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "a")))
      yield* settle(fixture, fail(yield* claimOne(fixture), { feedback: "Refused.", output: "nothing useful" }))
      assert.deepEqual(yield* fixture.store.requeue({ ids: ids("a") }), ["a"])
      const requeued = yield* find(fixture, "a")
      assert.equal(requeued.status, "pending")
      assert.equal(requeued.attempts, 0)
      assert.equal(requeued.requeues, 1)
      assert.equal(requeued.feedback, "Refused.")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["retried", "failed"])
      const claimed = yield* claimOne(fixture)
      assert.equal(claimed.task.attempts, 1)
      assert.equal(claimed.token, 3)
      assert.equal(claimed.previousOutput, "nothing useful")
      yield* settle(fixture, fail(claimed))
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.equal((yield* find(fixture, "a")).requeues, 2)
    })
  ),
  it(
    "a requeued task is claimed before tasks that have had no attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* failNew(fixture, "a")
      yield* fixture.advance(1)
      yield* fixture.store.add([task("b")])
      yield* fixture.advance(1)
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a", "b"])
    })
  ),
  it(
    "only failed and cancelled tasks are requeued",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "completed")
      yield* failNew(fixture, "failed")
      yield* cancelNew(fixture, "cancelled")
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([task("pending")])
      const all = ids("completed", "failed", "cancelled", "running", "pending", "nowhere")
      assert.deepEqual((yield* fixture.store.requeue({ ids: all })).toSorted(), ["cancelled", "failed"])
      assert.equal(yield* statusOf(fixture, "completed"), "completed")
      assert.equal(yield* statusOf(fixture, "running"), "in_progress")
      assert.deepEqual(yield* fixture.store.requeue({ ids: all }), [])
      assert.equal((yield* find(fixture, "pending")).requeues, 0)
    })
  ),
  it(
    "all tasks of a status can be requeued",
    Effect.fnUntraced(function* (fixture) {
      yield* failNew(fixture, "a")
      yield* failNew(fixture, "b")
      yield* cancelNew(fixture, "c")
      assert.deepEqual((yield* fixture.store.requeue({ status: "failed" })).toSorted(), ["a", "b"])
      assert.equal(yield* statusOf(fixture, "c"), "cancelled")
      assert.deepEqual(yield* fixture.store.requeue({ status: "completed" }), [])
      assert.deepEqual(yield* fixture.store.requeue({ status: "cancelled" }), ["c"])
    })
  ),
  it(
    "a cancelled task is not claimed",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      assert.deepEqual(yield* fixture.store.cancel({ ids: ids("a") }), ["a"])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["b"])
      assert.equal(yield* statusOf(fixture, "a"), "cancelled")
      assert.deepEqual(yield* fixture.store.attempts(id("a")), [])
    })
  ),
  it(
    "cancelling many pending tasks keeps the others in order",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(10))
      yield* fixture.store.cancel({ ids: ids("task-0", "task-3", "task-4", "task-9") })
      const expected = ["task-1", "task-2", "task-5", "task-6", "task-7", "task-8"]
      assert.deepEqual(claimedIds(yield* claim(fixture)), expected)
    })
  ),
  it(
    "cancelling a running task ends its attempt and notifies all runs",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a")
      const { revision } = yield* fixture.store.control
      assert.deepEqual(yield* fixture.store.cancel({ ids: ids("a") }), ["a"])
      assert.equal(yield* statusOf(fixture, "a"), "cancelled")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["cancelled"])
      assert.ok((yield* fixture.store.control).revision > revision)
    }),
    { inOneSession: true }
  ),
  it(
    "only pending and running tasks are cancelled",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "completed")
      yield* failNew(fixture, "failed")
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([task("pending")])
      const all = ids("completed", "failed", "running", "pending", "nowhere")
      assert.deepEqual((yield* fixture.store.cancel({ ids: all })).toSorted(), ["pending", "running"])
      assert.deepEqual(yield* fixture.store.cancel({ ids: all }), [])
      assert.equal(yield* statusOf(fixture, "failed"), "failed")
    })
  ),
  it(
    "all tasks of a status can be cancelled",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      assert.deepEqual((yield* fixture.store.cancel({ status: "pending" })).toSorted(), ["a", "b"])
      assert.equal(yield* statusOf(fixture, "running"), "in_progress")
      assert.deepEqual(yield* fixture.store.cancel({ status: "in_progress" }), ["running"])
      assert.deepEqual(yield* fixture.store.cancel({ status: "failed" }), [])
    })
  ),
  it(
    "pruning deletes tasks of the given statuses, with their history",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "completed")
      yield* failNew(fixture, "failed")
      yield* cancelNew(fixture, "cancelled")
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([task("pending")])
      assert.equal(yield* fixture.store.prune({ statuses: ["completed", "cancelled"] }), 2)
      assert.ok(Option.isNone(yield* fixture.store.get(id("completed"))))
      assert.deepEqual(yield* fixture.store.attempts(id("completed")), [])
      assert.ok(Option.isNone(yield* fixture.store.get(id("cancelled"))))
      assert.equal(yield* statusOf(fixture, "failed"), "failed")
      assert.equal(yield* statusOf(fixture, "running"), "in_progress")
      assert.equal(yield* statusOf(fixture, "pending"), "pending")
      assert.equal(yield* fixture.store.prune({ statuses: ["completed", "cancelled"] }), 0)
      assert.equal(yield* fixture.store.prune({ statuses: [] }), 0)
    })
  ),
  it(
    "pruning can be limited to ids",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "a")
      yield* completeNew(fixture, "b")
      yield* failNew(fixture, "c")
      assert.equal(yield* fixture.store.prune({ statuses: ["completed"], ids: ids("a", "c", "nowhere") }), 1)
      assert.equal(yield* fixture.store.prune({ statuses: ["completed"], ids: [] }), 0)
      assert.equal(yield* statusOf(fixture, "b"), "completed")
      assert.equal(yield* statusOf(fixture, "c"), "failed")
    })
  ),
  it(
    "pruning can be limited to tasks that have not changed for some time",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "old")
      yield* completeNew(fixture, "older")
      yield* fixture.advance(4)
      yield* settle(fixture, complete(claimed))
      yield* fixture.advance(1)
      assert.equal(yield* fixture.store.prune({ statuses: ["completed"], olderThan: fixture.seconds(3) }), 1)
      assert.equal(yield* statusOf(fixture, "old"), "completed")
      yield* fixture.advance(4)
      assert.equal(yield* fixture.store.prune({ statuses: ["completed"], olderThan: fixture.seconds(3) }), 1)
    })
  ),
  it(
    "an id can be added again after its task was pruned",
    Effect.fnUntraced(function* (fixture) {
      yield* completeNew(fixture, "a")
      yield* fixture.store.prune({ statuses: ["completed"] })
      assert.deepEqual(yield* fixture.store.add([task("a", { priority: 3 })]), {
        added: ["a"],
        existing: 0,
        different: []
      })
      const added = yield* find(fixture, "a")
      assert.deepEqual([added.status, added.priority, added.attempts], ["pending", 3, 0])
      assert.deepEqual(yield* fixture.store.attempts(id("a")), [])
    })
  ),
  it(
    "a token is greater than every earlier token of its id, also after the id was pruned and added again",
    Effect.fnUntraced(function* (fixture) {
      let last = 0
      for (let round = 0; round < 3; round++) {
        yield* fixture.store.add([task("a")])
        for (const end of [retry, fail]) {
          const claimed = yield* claimOne(fixture)
          assert.ok(claimed.token > last, `${claimed.token} is greater than ${last}`)
          last = claimed.token
          yield* settle(fixture, end(claimed))
        }
        yield* fixture.store.requeue({ ids: ids("a") })
        yield* fixture.store.cancel({ ids: ids("a") })
        assert.equal(yield* fixture.store.prune({ statuses: ["cancelled"] }), 1)
        // Enough operations for the suite to reopen the store before the id is added again.
        for (let operation = 0; operation < 3; operation++) yield* fixture.store.prune({ statuses: ["cancelled"] })
      }
    })
  )
]
