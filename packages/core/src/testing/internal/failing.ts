import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TaskStoreError } from "../../TaskStoreError.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimOne,
  complete,
  fail,
  find,
  id,
  ids,
  it,
  outcomes,
  release,
  settle,
  statusOf,
  task,
  type Fixture
} from "./fixture.ts"

/** A task that failed, one that waits for it, and one that waits for that. */
const failedChain = Effect.fnUntraced(function* (fixture: Fixture) {
  yield* fixture.store.add([
    task("bad"),
    task("child", { dependsOn: ["bad"] }),
    task("grandchild", { dependsOn: ["child"] })
  ])
  yield* settle(fixture, fail(yield* claimOne(fixture)))
})

const reason = "The task bad failed."

export const failing: ReadonlyArray<Case> = [
  it(
    "tasks that wait for others go to the dead-letter queue, with the reason and no attempt used",
    Effect.fnUntraced(function* (fixture) {
      yield* failedChain(fixture)
      assert.deepEqual(
        [...(yield* fixture.store.failWaiting(ids("child", "grandchild"), reason))].toSorted(),
        ids("child", "grandchild")
      )
      for (const name of ["child", "grandchild"]) {
        const failed = yield* find(fixture, name)
        assert.deepEqual([failed.status, failed.feedback, failed.attempts], ["failed", reason, 0])
        assert.deepEqual(yield* outcomes(fixture, name), [])
      }
      const { failed, pending, waiting } = yield* fixture.store.counts
      assert.deepEqual({ failed, pending, waiting }, { failed: 3, pending: 0, waiting: 0 })
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
    })
  ),
  it(
    "they wait again once they are requeued, and get the reason with their first attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* failedChain(fixture)
      yield* fixture.store.failWaiting(ids("child"), reason)
      yield* fixture.store.requeue({ status: "failed" })
      assert.equal((yield* fixture.store.counts).waiting, 2)
      const again = yield* claim(fixture)
      assert.deepEqual(claimedIds(again), ["bad"])
      for (const claimed of again) yield* settle(fixture, complete(claimed))
      const child = yield* claimOne(fixture)
      assert.deepEqual([child.task.id, child.task.feedback, child.task.attempts], ["child", reason, 1])
    })
  ),
  it(
    "they are free when their dependency completes, and are claimed once they are requeued",
    Effect.fnUntraced(function* (fixture) {
      yield* failedChain(fixture)
      yield* fixture.store.failWaiting(ids("child"), reason)
      yield* fixture.store.requeue({ ids: ids("bad") })
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      assert.equal(yield* statusOf(fixture, "child"), "failed")
      yield* fixture.store.requeue({ ids: ids("child") })
      assert.equal((yield* claimOne(fixture)).task.id, "child")
    })
  ),
  it(
    "they have had no attempt, so once they are requeued they are claimed after tasks that had one",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("started")])
      const started = yield* claimOne(fixture)
      yield* failedChain(fixture)
      yield* fixture.store.failWaiting(ids("child"), reason)
      yield* fixture.store.requeue({ ids: ids("bad") })
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      yield* fixture.store.requeue({ ids: ids("child") })
      yield* settle(fixture, release(started))
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["started", "child"])
    })
  ),
  it(
    "tasks that wait for none, that are not pending or that are unknown do not change",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] }), task("free")])
      yield* fixture.store.cancel({ ids: ids("b") })
      assert.deepEqual(yield* fixture.store.failWaiting(ids("a", "b", "free", "missing"), reason), [])
      assert.equal(yield* statusOf(fixture, "b"), "cancelled")
      assert.equal(yield* statusOf(fixture, "free"), "pending")
      assert.ok(Option.isNone(yield* fixture.store.get(id("missing"))))
      assert.deepEqual(yield* fixture.store.failWaiting([], reason), [])
    })
  )
]

/** For a store that cannot do it. */
export const withoutFailing: ReadonlyArray<Case> = [
  it(
    "failing a task that waits is refused, by a message that names the store",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const refused = yield* Effect.flip(fixture.store.failWaiting(ids("a"), reason))
      assert.ok(refused instanceof TaskStoreError)
      assert.match(refused.message, /does not support failing the dependents/)
    })
  )
]
