import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { texts } from "./text.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  find,
  id,
  it,
  leaseOf,
  numbered,
  outcomes,
  patient,
  release,
  settle,
  statusOf,
  task,
  usage,
  type Fixture
} from "./fixture.ts"

/** Until what was claimed belongs to nobody any more; who claimed it. */
const takeBack = Effect.fnUntraced(function* ({ advance, store }: Fixture) {
  yield* advance(2)
  return (yield* store.sweep(patient)).map(({ owner }) => owner)
})

/**
 * The ways in which queues have lost or doubled work, as far as a store is to blame for it: what users of other queues
 * reported, by its cause.
 */
export const hazards: ReadonlyArray<Case> = [
  it(
    "(a) a recovery on a stale view: of sweeps and results at the same time, each task heeds one",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(60))
      const claims = yield* claim(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      const [swept, ...lost] = yield* Effect.all(
        [
          Effect.map(fixture.store.sweep(patient), (swept) => swept.map(({ taskId }) => taskId)),
          ...[0, 20, 40].map((from) =>
            Effect.map(fixture.store.settle(claims.slice(from, from + 20).map((each) => complete(each))), (reply) =>
              reply.lost.map(({ taskId }) => taskId)
            )
          )
        ],
        { concurrency: "unbounded" }
      )
      assert.deepEqual(swept?.toSorted(), lost.flat().toSorted())
      const { completed, in_progress, pending } = yield* fixture.store.counts
      assert.deepEqual([completed + pending, in_progress, pending], [60, 0, swept?.length])
    })
  ),
  it(
    "(b) a claim that was never handed on: its tasks come back with the end of the lease, and none before",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(20))
      // Interrupted at a moment that nobody chose: claimed or not, but never in between.
      const claiming = yield* Effect.forkChild(claim(fixture, { limit: 10, owner: "lost", lease: fixture.seconds(1) }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(claiming)
      const rest = yield* claim(fixture, { owner: "other" })
      const lost = 20 - rest.length
      assert.ok(lost === 0 || lost === 10, "a claim is whole, or there is none")
      assert.equal(new Set(claimedIds(rest)).size, rest.length)
      assert.deepEqual(
        yield* takeBack(fixture),
        Array.from({ length: lost }, () => "lost")
      )
      assert.equal((yield* claim(fixture, { owner: "other" })).length, lost)
    })
  ),
  it(
    "(c) a wake-up that never comes: what becomes due by itself wakes whoever waits all the same",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(1))
      const waiting = yield* Effect.forkChild(fixture.store.awaitWork({ untilDrained: true }), {
        startImmediately: true
      })
      yield* fixture.advance(2)
      assert.equal(yield* Fiber.join(waiting), "claimable")
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      // It is there to claim, and nobody says so again.
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "claimable")
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "(d) an end without ownership: neither another's result nor a late failure brings a completed task back",
    Effect.fnUntraced(function* (fixture) {
      const stale = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* takeBack(fixture)
      yield* settle(fixture, complete(yield* claimOne(fixture, { owner: "successor" }), "mine"))
      const ends = [fail(stale, { output: "late" }), release(stale), complete(stale, "late")]
      for (const end of ends) assert.equal((yield* fixture.store.settle([end])).lost[0]?.status, "completed")
      assert.deepEqual((yield* find(fixture, "a")).result, "mine")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["lease_expired", "completed"])
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "(e) a shutdown that leaves tasks leased: what was released is there at once, the rest with the end of its lease",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(3))
      const [first, second] = yield* claim(fixture, { owner: "stopped", lease: fixture.seconds(1) })
      assert.ok(first && second)
      yield* fixture.store.checkpoint([{ ...leaseOf(second), execution: execution("saved"), usage: usage(7) }])
      yield* settle(fixture, release(first))
      const [again] = yield* claim(fixture)
      assert.deepEqual([again?.task.id, again?.task.attempts], ["task-0", 1])
      assert.deepEqual(yield* takeBack(fixture), ["stopped", "stopped"])
      const others = yield* claim(fixture)
      assert.deepEqual(
        others.map(({ checkpoint, task }) => [task.id, task.attempts, checkpoint?.output]),
        [
          ["task-1", 2, "saved"],
          ["task-2", 2, undefined]
        ]
      )
    })
  ),
  it(
    "(f) tasks that ended and never go: thousands are pruned in one call, and nothing is left of them",
    Effect.fnUntraced(function* (fixture) {
      const { store } = fixture
      const many = numbered(2_100)
      const [first, second] = many
      assert.ok(first && second)
      yield* store.add([...many, task("dependant", { dependsOn: [first.id, second.id] })])
      const claims = yield* claim(fixture, { limit: 3_000 })
      assert.equal(claims.length, many.length)
      yield* settle(fixture, ...claims.map((each, index) => (index % 3 === 0 ? fail(each) : complete(each))))
      yield* store.cancel({ ids: [id("dependant")] })
      assert.equal(yield* store.prune({ statuses: ["completed", "failed", "cancelled"] }), many.length + 1)
      assert.deepEqual(
        { ...(yield* store.counts) },
        { pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
      )
      assert.deepEqual((yield* store.dump()).records, [])
      assert.deepEqual(yield* store.attempts(first.id), [])
      assert.equal((yield* store.add(many)).added.length, many.length)
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 1 })), [first.id])
    })
  ),
  it(
    "(g) a poisoned batch: what is odd in one result keeps no other from being written",
    Effect.fnUntraced(function* (fixture) {
      const outputs = ["plain", ...texts.map(([, text]) => text), "", "x".repeat(1_000_000), "last"]
      yield* fixture.store.add(numbered(outputs.length))
      const claims = yield* claim(fixture)
      yield* settle(fixture, ...claims.map((each, index) => complete(each, outputs[index])))
      for (const [index, output] of outputs.entries()) {
        assert.ok((yield* find(fixture, `task-${index}`)).result === output, `result ${index}`)
      }
    })
  ),
  it(
    "(h) an identity that is used again: a worker that restarts under its name is not taken for its predecessor",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const before = yield* claimOne(fixture, { owner: "host-1", lease: fixture.seconds(1) })
      assert.deepEqual(yield* claim(fixture, { owner: "host-1" }), [], "what the other holds is not its own")
      assert.deepEqual(yield* takeBack(fixture), ["host-1"])
      const after = yield* claimOne(fixture, { owner: "host-1" })
      assert.equal(after.task.attempts, 2)
      const stale = [complete(before, "of the first"), release(before)]
      for (const end of stale) assert.equal((yield* fixture.store.settle([end])).lost.length, 1)
      assert.equal(yield* statusOf(fixture, "a"), "in_progress")
      yield* settle(fixture, complete(after, "of the second"))
    })
  )
]
