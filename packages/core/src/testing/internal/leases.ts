import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import { LeaseToken } from "../../Attempt.ts"
import type { Claim, FencedReply, TaskStore } from "../../TaskStore.ts"
import {
  type Case,
  claim,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  find,
  id,
  ids,
  it,
  leaseOf,
  longLease,
  outcomes,
  patient,
  plainTask,
  release,
  retry,
  settle,
  statusOf,
  task,
  usage,
  type Fixture
} from "./fixture.ts"

const saved = (claimed: Claim, output = "saved") => ({
  ...leaseOf(claimed),
  execution: execution(output),
  usage: usage(7)
})

/** Everything that can be written under a lease. */
const writes: ReadonlyArray<
  readonly [string, (store: TaskStore["Service"], claimed: Claim) => Effect.Effect<FencedReply, unknown>]
> = [
  ["a completion", (store, claimed) => store.settle([complete(claimed, "late")])],
  ["a retry", (store, claimed) => store.settle([retry(claimed, { output: "late" })])],
  ["a failure", (store, claimed) => store.settle([fail(claimed, { output: "late" })])],
  ["a release", (store, claimed) => store.settle([release(claimed)])],
  ["a checkpoint", (store, claimed) => store.checkpoint([saved(claimed, "late")])],
  ["a heartbeat", (store, claimed) => store.extend([leaseOf(claimed)], longLease)]
]

/** A worker that overslept, and the one that has its task now. */
const expired = Effect.fnUntraced(function* (fixture: Fixture) {
  const stale = yield* claimNew(fixture, "a", fixture.seconds(1))
  yield* fixture.advance(2)
  yield* fixture.store.sweep(patient)
  const current = yield* claimOne(fixture, { owner: "successor" })
  return { stale, current }
})

export const leases: ReadonlyArray<Case> = [
  ...writes.flatMap(([what, write]) => [
    it(
      `${what} under an expired lease that another worker took over changes nothing and is reported`,
      Effect.fnUntraced(function* (fixture) {
        const { current, stale } = yield* expired(fixture)
        const before = plainTask(yield* find(fixture, "a"))
        const { lost } = yield* write(fixture.store, stale)
        assert.deepEqual(lost, [{ ...leaseOf(stale), status: "in_progress" }])
        assert.deepEqual(plainTask(yield* find(fixture, "a")), before)
        assert.deepEqual(yield* outcomes(fixture, "a"), ["lease_expired", "running"])
        yield* settle(fixture, complete(current, "mine"))
        assert.equal((yield* find(fixture, "a")).result, "mine")
      })
    ),
    it(
      `${what} for a task that was cancelled meanwhile changes nothing and is reported`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        yield* fixture.store.cancel({ ids: ids("a") })
        const { lost } = yield* write(fixture.store, claimed)
        assert.deepEqual(lost, [{ ...leaseOf(claimed), status: "cancelled" }])
        assert.equal(yield* statusOf(fixture, "a"), "cancelled")
        assert.deepEqual(yield* outcomes(fixture, "a"), ["cancelled"])
      })
    ),
    it(
      `${what} for a task that is back in line changes nothing and is reported`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        yield* settle(fixture, release(claimed))
        const { lost } = yield* write(fixture.store, claimed)
        assert.deepEqual(lost, [{ ...leaseOf(claimed), status: "pending" }])
        assert.deepEqual(yield* outcomes(fixture, "a"), ["released"])
        assert.equal((yield* claimOne(fixture)).checkpoint, undefined)
      })
    ),
    it(
      `${what} for a task that is gone is reported`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        yield* settle(fixture, complete(claimed))
        yield* fixture.store.prune({ statuses: ["completed"] })
        assert.deepEqual((yield* write(fixture.store, claimed)).lost, [{ ...leaseOf(claimed), status: undefined }])
      })
    )
  ]),
  it(
    "a result is accepted once",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, complete(claimed, "first"))
      const { lost } = yield* fixture.store.settle([complete(claimed, "second")])
      assert.deepEqual(lost, [{ ...leaseOf(claimed), status: "completed" }])
      assert.equal((yield* find(fixture, "a")).result, "first")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["completed"])
    })
  ),
  it(
    "a lease that occurs twice in a batch counts once",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      const { lost } = yield* fixture.store.settle([complete(claimed, "first"), complete(claimed, "second")])
      assert.deepEqual(lost, [{ ...leaseOf(claimed), status: "completed" }])
      assert.equal((yield* find(fixture, "a")).result, "first")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["completed"])
    })
  ),
  it(
    "a token that was never issued is not a lease",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      const guessed = { ...claimed, token: LeaseToken.make(claimed.token + 1) }
      assert.equal((yield* fixture.store.settle([complete(guessed)])).lost.length, 1)
      assert.equal(yield* statusOf(fixture, "a"), "in_progress")
    })
  ),
  it(
    "a stale settlement in a batch does not affect the others",
    Effect.fnUntraced(function* (fixture) {
      const { stale, current } = yield* expired(fixture)
      yield* fixture.store.add([task("b"), task("c"), task("d")])
      const [b, c, d] = yield* claim(fixture)
      assert.ok(b && c && d)
      const { lost } = yield* fixture.store.settle([
        complete(b),
        complete(stale, "late"),
        fail(c),
        retry(d),
        complete(current)
      ])
      assert.deepEqual(lost, [{ ...leaseOf(stale), status: "completed" }])
      const statuses = yield* Effect.forEach(["a", "b", "c", "d"], (name) => statusOf(fixture, name))
      assert.deepEqual(statuses, ["completed", "completed", "failed", "pending"])
    })
  ),
  it(
    "a stale checkpoint in a batch does not affect the others",
    Effect.fnUntraced(function* (fixture) {
      const { stale } = yield* expired(fixture)
      const b = yield* claimNew(fixture, "b")
      const { lost } = yield* fixture.store.checkpoint([saved(stale, "late"), saved(b)])
      assert.deepEqual(lost, [{ ...leaseOf(stale), status: "in_progress" }])
      yield* settle(fixture, release(b))
      assert.equal((yield* claimOne(fixture)).checkpoint?.output, "saved")
    })
  ),
  it(
    "a stale heartbeat in a batch does not affect the others",
    Effect.fnUntraced(function* (fixture) {
      const stale = yield* claimNew(fixture, "a")
      yield* settle(fixture, complete(stale))
      const b = yield* claimNew(fixture, "b", fixture.seconds(2))
      const { lost } = yield* fixture.store.extend([leaseOf(stale), leaseOf(b)], longLease)
      assert.deepEqual(lost, [{ ...leaseOf(stale), status: "completed" }])
      yield* fixture.advance(3)
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
    })
  ),
  it(
    "leases of unknown tasks are reported as lost",
    Effect.fnUntraced(function* ({ store }) {
      const lease = { taskId: id("nowhere"), token: LeaseToken.make(1) }
      assert.deepEqual((yield* store.extend([lease], longLease)).lost, [{ ...lease, status: undefined }])
    })
  ),
  it(
    "an empty batch loses nothing",
    Effect.fnUntraced(function* ({ store }) {
      assert.deepEqual((yield* store.settle([])).lost, [])
      assert.deepEqual((yield* store.checkpoint([])).lost, [])
      assert.deepEqual((yield* store.extend([], longLease)).lost, [])
    })
  )
]
