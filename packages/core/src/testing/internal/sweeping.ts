import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  find,
  ids,
  it,
  leaseOf,
  longLease,
  numbered,
  outcomes,
  patient,
  settle,
  statusOf,
  task
} from "./fixture.ts"

export const sweeping: ReadonlyArray<Case> = [
  it(
    "a task whose lease is current is not swept",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(5))
      yield* fixture.advance(1)
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      assert.equal(yield* statusOf(fixture, "a"), "in_progress")
    })
  ),
  it(
    "a task of a dead worker is swept once, and the attempt counts",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const claimed = yield* claimOne(fixture, { owner: "victim", lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      assert.deepEqual(yield* fixture.store.sweep(patient), [
        { ...leaseOf(claimed), status: "pending", owner: "victim", attempts: 1, started: true }
      ])
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      const swept = yield* find(fixture, "a")
      assert.equal(swept.status, "pending")
      assert.equal(swept.attempts, 1)
      const again = yield* claimOne(fixture)
      assert.equal(again.task.attempts, 2)
      assert.equal(again.token, 2)
    })
  ),
  it(
    "an expired lease can be settled until the task is swept",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* fixture.advance(2)
      yield* settle(fixture, complete(claimed))
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      assert.equal(yield* statusOf(fixture, "a"), "completed")
    })
  ),
  it(
    "a heartbeat that is just in time wins",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(3))
      yield* fixture.advance(2)
      assert.deepEqual((yield* fixture.store.extend([leaseOf(claimed)], fixture.seconds(3))).lost, [])
      yield* fixture.advance(2)
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      yield* fixture.advance(2)
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
    })
  ),
  it(
    "only expired leases are swept",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("c")])
      yield* claimOne(fixture, { lease: longLease })
      yield* claimOne(fixture, { lease: fixture.seconds(1) })
      yield* claimOne(fixture, { lease: longLease })
      yield* fixture.advance(2)
      assert.deepEqual(
        (yield* fixture.store.sweep(patient)).map(({ taskId }) => taskId),
        ["b"]
      )
    })
  ),
  it(
    "a swept task without attempts left goes to the dead-letter queue, with the reason",
    Effect.fnUntraced(function* (fixture) {
      const policy = { maxAttempts: 2, onCrash: "retry" } as const
      yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* fixture.advance(2)
      assert.deepEqual(
        (yield* fixture.store.sweep(policy)).map(({ status }) => status),
        ["pending"]
      )
      yield* claimOne(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      const swept = yield* fixture.store.sweep(policy)
      assert.deepEqual(
        swept.map(({ attempts, status }) => [status, attempts]),
        [["failed", 2]]
      )
      const failed = yield* find(fixture, "a")
      assert.equal(failed.status, "failed")
      assert.equal(failed.attempts, 2)
      assert.match(failed.feedback ?? "", /stopped answering/)
      assert.deepEqual(yield* outcomes(fixture, "a"), ["lease_expired", "lease_expired"])
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "work that must not run twice goes to the dead-letter queue at its first crash",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* fixture.advance(2)
      const swept = yield* fixture.store.sweep({ maxAttempts: 10, onCrash: "dead-letter" })
      assert.deepEqual(
        swept.map(({ attempts, status }) => [status, attempts]),
        [["failed", 1]]
      )
      assert.equal(yield* statusOf(fixture, "a"), "failed")
    })
  ),
  it(
    "a cancelled task is not swept",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* fixture.store.cancel({ ids: ids("a") })
      yield* fixture.advance(2)
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      assert.equal(yield* statusOf(fixture, "a"), "cancelled")
    })
  ),
  it(
    "concurrent sweeps return each task once",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(100))
      yield* claim(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      const sweeps = yield* Effect.all(
        Array.from({ length: 10 }, () => fixture.store.sweep(patient)),
        { concurrency: "unbounded" }
      )
      assert.equal(sweeps.flat().length, 100)
      const claims = yield* claim(fixture, { limit: 1_000 })
      assert.equal(claims.length, 100)
      assert.ok(claims.every(({ task }) => task.attempts === 2))
    })
  ),
  it(
    "a swept task is available at once",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  )
]
