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
} from "./world.ts"

export const sweeping: ReadonlyArray<Case> = [
  it(
    "a task whose lease goes on is left alone",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a", world.seconds(5))
      yield* world.pass(1)
      assert.deepEqual(yield* world.store.sweep(patient), [])
      assert.equal(yield* statusOf(world, "a"), "in_progress")
    })
  ),
  it(
    "a task whose worker died is taken back once, and the attempt counts",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a")])
      const claimed = yield* claimOne(world, { owner: "victim", lease: world.seconds(1) })
      yield* world.pass(2)
      assert.deepEqual(yield* world.store.sweep(patient), [
        { ...leaseOf(claimed), status: "pending", owner: "victim", attempts: 1 }
      ])
      assert.deepEqual(yield* world.store.sweep(patient), [])
      const swept = yield* find(world, "a")
      assert.equal(swept.status, "pending")
      assert.equal(swept.attempts, 1)
      const again = yield* claimOne(world)
      assert.equal(again.task.attempts, 2)
      assert.equal(again.token, 2)
    })
  ),
  it(
    "a lease that has ended can be settled as long as nobody took the task back",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a", world.seconds(1))
      yield* world.pass(2)
      yield* settle(world, complete(claimed))
      assert.deepEqual(yield* world.store.sweep(patient), [])
      assert.equal(yield* statusOf(world, "a"), "completed")
    })
  ),
  it(
    "a heartbeat that is just in time wins",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a", world.seconds(3))
      yield* world.pass(2)
      assert.deepEqual((yield* world.store.extend([leaseOf(claimed)], world.seconds(3))).lost, [])
      yield* world.pass(2)
      assert.deepEqual(yield* world.store.sweep(patient), [])
      yield* world.pass(2)
      assert.equal((yield* world.store.sweep(patient)).length, 1)
    })
  ),
  it(
    "of several leases only those that ended are taken back",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b"), task("c")])
      yield* claimOne(world, { lease: longLease })
      yield* claimOne(world, { lease: world.seconds(1) })
      yield* claimOne(world, { lease: longLease })
      yield* world.pass(2)
      assert.deepEqual(
        (yield* world.store.sweep(patient)).map(({ taskId }) => taskId),
        ["b"]
      )
    })
  ),
  it(
    "a task that used up its attempts goes to the dead-letter queue and says why",
    Effect.fnUntraced(function* (world) {
      const policy = { maxAttempts: 2, onCrash: "retry" } as const
      yield* claimNew(world, "a", world.seconds(1))
      yield* world.pass(2)
      assert.deepEqual(
        (yield* world.store.sweep(policy)).map(({ status }) => status),
        ["pending"]
      )
      yield* claimOne(world, { lease: world.seconds(1) })
      yield* world.pass(2)
      const swept = yield* world.store.sweep(policy)
      assert.deepEqual(
        swept.map(({ attempts, status }) => [status, attempts]),
        [["failed", 2]]
      )
      const failed = yield* find(world, "a")
      assert.equal(failed.status, "failed")
      assert.equal(failed.attempts, 2)
      assert.match(failed.feedback ?? "", /stopped answering/)
      assert.deepEqual(yield* outcomes(world, "a"), ["lease_expired", "lease_expired"])
      assert.deepEqual(yield* claim(world), [])
    })
  ),
  it(
    "work that must not run twice goes to the dead-letter queue at its first crash",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a", world.seconds(1))
      yield* world.pass(2)
      const swept = yield* world.store.sweep({ maxAttempts: 10, onCrash: "dead-letter" })
      assert.deepEqual(
        swept.map(({ attempts, status }) => [status, attempts]),
        [["failed", 1]]
      )
      assert.equal(yield* statusOf(world, "a"), "failed")
    })
  ),
  it(
    "a task that was cancelled is not taken back",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a", world.seconds(1))
      yield* world.store.cancel({ ids: ids("a") })
      yield* world.pass(2)
      assert.deepEqual(yield* world.store.sweep(patient), [])
      assert.equal(yield* statusOf(world, "a"), "cancelled")
    })
  ),
  it(
    "sweeps at the same time take each task back once",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add(numbered(100))
      yield* claim(world, { lease: world.seconds(1) })
      yield* world.pass(2)
      const sweeps = yield* Effect.all(
        Array.from({ length: 10 }, () => world.store.sweep(patient)),
        { concurrency: "unbounded" }
      )
      assert.equal(sweeps.flat().length, 100)
      const claims = yield* claim(world, { limit: 1_000 })
      assert.equal(claims.length, 100)
      assert.ok(claims.every(({ task }) => task.attempts === 2))
    })
  ),
  it(
    "a task that is taken back is available at once",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a", world.seconds(1))
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      assert.deepEqual(claimedIds(yield* claim(world)), ["a"])
    })
  )
]
