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

/** Lets the leases expire, sweeps, and returns the owners of the swept tasks. */
const expireAndSweep = Effect.fnUntraced(function* ({ advance, store }: Fixture) {
  yield* advance(2)
  return (yield* store.sweep(patient)).map(({ owner }) => owner)
})

/** Causes of lost and doubled work that users of other queues have reported, as far as a store can prevent them. */
export const hazards: ReadonlyArray<Case> = [
  it(
    "(a) recovery on a stale view: a concurrent sweep and result never both apply to a task",
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
    "(b) a lost claim: its tasks are claimable again after the lease expires, and not before",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(20))
      // Interrupted at an arbitrary moment: the claim is made or not, but never in part.
      const claiming = yield* Effect.forkChild(claim(fixture, { limit: 10, owner: "lost", lease: fixture.seconds(1) }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(claiming)
      const rest = yield* claim(fixture, { owner: "other" })
      const lost = 20 - rest.length
      assert.ok(lost === 0 || lost === 10, "a claim is whole, or there is none")
      assert.equal(new Set(claimedIds(rest)).size, rest.length)
      assert.deepEqual(
        yield* expireAndSweep(fixture),
        Array.from({ length: lost }, () => "lost")
      )
      assert.equal((yield* claim(fixture, { owner: "other" })).length, lost)
    })
  ),
  it(
    "(c) a lost wake-up: a task that becomes due wakes waiting workers anyway",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(1))
      const waiting = yield* Effect.forkChild(fixture.store.awaitWork({ untilDrained: true }), {
        startImmediately: true
      })
      yield* fixture.advance(2)
      assert.equal(yield* Fiber.join(waiting), "claimable")
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      // The task is claimable, and no further wake-up comes.
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "claimable")
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "(d) a result without ownership: another worker's result or a late failure never changes a completed task",
    Effect.fnUntraced(function* (fixture) {
      const stale = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* expireAndSweep(fixture)
      yield* settle(fixture, complete(yield* claimOne(fixture, { owner: "successor" }), "mine"))
      const ends = [fail(stale, { output: "late" }), release(stale), complete(stale, "late")]
      for (const end of ends) assert.equal((yield* fixture.store.settle([end])).lost[0]?.status, "completed")
      assert.deepEqual((yield* find(fixture, "a")).result, "mine")
      assert.deepEqual(yield* outcomes(fixture, "a"), ["lease_expired", "completed"])
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "(e) a shutdown that leaves tasks leased: released tasks are claimable at once, the others after their leases expire",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(3))
      const [first, second] = yield* claim(fixture, { owner: "stopped", lease: fixture.seconds(1) })
      assert.ok(first && second)
      yield* fixture.store.checkpoint([{ ...leaseOf(second), execution: execution("saved"), usage: usage(7) }])
      yield* settle(fixture, release(first))
      const [again] = yield* claim(fixture)
      assert.deepEqual([again?.task.id, again?.task.attempts], ["task-0", 1])
      assert.deepEqual(yield* expireAndSweep(fixture), ["stopped", "stopped"])
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
    "(f) completed tasks that pile up: thousands are pruned in one call, and nothing of them is left",
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
        { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
      )
      assert.deepEqual((yield* store.dump()).records, [])
      assert.deepEqual(yield* store.attempts(first.id), [])
      assert.equal((yield* store.add(many)).added.length, many.length)
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 1 })), [first.id])
    })
  ),
  it(
    "(g) a poisoned batch: one odd result does not prevent the others from being written",
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
    "(h) a reused identity: a restarted worker with the same name is not mistaken for its predecessor",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const before = yield* claimOne(fixture, { owner: "host-1", lease: fixture.seconds(1) })
      assert.deepEqual(yield* claim(fixture, { owner: "host-1" }), [], "what the other holds is not its own")
      assert.deepEqual(yield* expireAndSweep(fixture), ["host-1"])
      const after = yield* claimOne(fixture, { owner: "host-1" })
      assert.equal(after.task.attempts, 2)
      const stale = [complete(before, "of the first"), release(before)]
      for (const end of stale) assert.equal((yield* fixture.store.settle([end])).lost.length, 1)
      assert.equal(yield* statusOf(fixture, "a"), "in_progress")
      yield* settle(fixture, complete(after, "of the second"))
    })
  )
]
