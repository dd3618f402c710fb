import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Task } from "../../Task.ts"
import { inSeconds } from "./claiming.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  fail,
  id,
  ids,
  it,
  leaseOf,
  patient,
  release,
  retry,
  settle,
  task,
  type Fixture
} from "./fixture.ts"

/** What a worker does: waits for a signal and looks, as often as it takes, because a signal can be for nothing. */
const untilFound = <A>(
  fixture: Fixture,
  look: Effect.Effect<ReadonlyArray<A>, unknown>,
  options = { untilDrained: false }
): Effect.Effect<ReadonlyArray<A>, unknown> =>
  Effect.flatMap(fixture.store.awaitWork(options), (signal) => {
    assert.equal(signal, "claimable")
    return Effect.flatMap(look, (found) =>
      found.length > 0 ? Effect.succeed(found) : Effect.andThen(Effect.yieldNow, untilFound(fixture, look, options))
    )
  })

const untilDrained = (fixture: Fixture): Effect.Effect<"drained", unknown> =>
  Effect.flatMap(fixture.store.awaitWork({ untilDrained: true }), (signal) =>
    signal === "drained" ? Effect.succeed(signal) : Effect.andThen(Effect.yieldNow, untilDrained(fixture))
  )

const start = <A>(waiting: Effect.Effect<A, unknown>) => Effect.forkChild(waiting, { startImmediately: true })

const waitForClaim = (fixture: Fixture) => start(Effect.map(untilFound(fixture, claim(fixture)), claimedIds))

const waitForSweep = (fixture: Fixture) =>
  start(Effect.map(untilFound(fixture, fixture.store.sweep(patient)), (swept) => swept.map(({ taskId }) => taskId)))

const isWaiting = (fiber: Fiber.Fiber<unknown, unknown>) =>
  assert.equal(fiber.pollUnsafe(), undefined, "it still waits")

/** What a fiber returns, while time passes for stores that look again from time to time. */
const eventually = Effect.fnUntraced(function* (fixture: Fixture, fiber: Fiber.Fiber<Option.Option<Task>, unknown>) {
  for (let second = 0; second < 30 && fiber.pollUnsafe() === undefined; second++) yield* fixture.advance(1)
  assert.ok(fiber.pollUnsafe(), "it no longer waits")
  return Option.getOrUndefined(yield* Fiber.join(fiber))
})

export const waiting: ReadonlyArray<Case> = [
  it(
    "awaitWork returns at once when a task is claimable",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: false }), "claimable")
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "claimable")
    })
  ),
  it(
    "awaitWork returns when a task is added",
    Effect.fnUntraced(function* (fixture) {
      const worker = yield* waitForClaim(fixture)
      yield* fixture.advance(1)
      isWaiting(worker)
      yield* fixture.store.add([task("a")])
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "all waiting workers are woken",
    Effect.fnUntraced(function* (fixture) {
      const workers = yield* Effect.forEach(["a", "b", "c"], () =>
        start(untilFound(fixture, claim(fixture, { limit: 1 })))
      )
      yield* fixture.store.add([task("a"), task("b"), task("c")])
      const claims = yield* Effect.forEach(workers, (worker) => Fiber.join(worker))
      assert.deepEqual(claims.flatMap(claimedIds).toSorted(), ["a", "b", "c"])
    })
  ),
  it(
    "awaitWork returns when a task becomes available",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { availableAt: yield* inSeconds(fixture, 3) })])
      const worker = yield* waitForClaim(fixture)
      yield* fixture.advance(1)
      isWaiting(worker)
      yield* fixture.advance(3)
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "a worker that waits for one task is woken earlier by a task that is available earlier",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("late", { availableAt: yield* inSeconds(fixture, 3_600) })])
      const worker = yield* waitForClaim(fixture)
      yield* fixture.advance(1)
      yield* fixture.store.add([task("early", { availableAt: yield* inSeconds(fixture, 1) })])
      yield* fixture.advance(2)
      assert.deepEqual(yield* Fiber.join(worker), ["early"])
    })
  ),
  it(
    "awaitWork returns when the delay of a retried task is over",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      const worker = yield* waitForClaim(fixture)
      yield* settle(fixture, retry(claimed, { delay: fixture.seconds(2) }))
      yield* fixture.advance(3)
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "awaitWork returns when a task is released, requeued, or freed by its dependency",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const first = yield* claimOne(fixture)
      const afterRelease = yield* waitForClaim(fixture)
      yield* settle(fixture, release(first))
      assert.deepEqual(yield* Fiber.join(afterRelease), ["a"])
      yield* fixture.store.cancel({ ids: ids("a") })
      const afterRequeue = yield* start(untilFound(fixture, claim(fixture)))
      yield* fixture.store.requeue({ ids: ids("a") })
      const [again] = yield* Fiber.join(afterRequeue)
      assert.equal(again?.task.id, "a")
      const afterCompletion = yield* waitForClaim(fixture)
      yield* settle(fixture, complete(again))
      assert.deepEqual(yield* Fiber.join(afterCompletion), ["b"])
    })
  ),
  it(
    "awaitWork returns when a lease expires",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(2))
      const sweeper = yield* waitForSweep(fixture)
      yield* fixture.advance(1)
      isWaiting(sweeper)
      yield* fixture.advance(2)
      assert.deepEqual(yield* Fiber.join(sweeper), ["a"])
    })
  ),
  it(
    "awaitWork returns at the new end of an extended lease",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(3))
      const sweeper = yield* waitForSweep(fixture)
      yield* fixture.advance(1)
      yield* fixture.store.extend([leaseOf(claimed)], fixture.seconds(5))
      yield* fixture.advance(3)
      isWaiting(sweeper)
      yield* fixture.advance(3)
      assert.deepEqual(yield* Fiber.join(sweeper), ["a"])
    })
  ),
  it(
    "interrupting one waiting worker does not affect another",
    Effect.fnUntraced(function* (fixture) {
      const gone = yield* waitForClaim(fixture)
      const worker = yield* waitForClaim(fixture)
      yield* Fiber.interrupt(gone)
      yield* fixture.store.add([task("a")])
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "an empty store is drained",
    Effect.fnUntraced(function* (fixture) {
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
    })
  ),
  it(
    "a store is drained when each task has ended or waits for a task that did not complete",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("a"),
        task("b"),
        task("c", { dependsOn: ["b"] }),
        task("d", { dependsOn: ["c"] }),
        task("e")
      ])
      yield* fixture.store.cancel({ ids: ids("e") })
      const [a, b] = yield* claim(fixture)
      assert.ok(a && b)
      yield* settle(fixture, complete(a), fail(b))
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true }), "drained")
    })
  ),
  it(
    "a store with a running task is drained once that task ends",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      const run = yield* start(untilDrained(fixture))
      yield* fixture.advance(1)
      isWaiting(run)
      yield* settle(fixture, complete(claimed))
      assert.equal(yield* Fiber.join(run), "drained")
    })
  ),
  it(
    "a store is drained once its last open task is cancelled",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "running")
      yield* fixture.store.add([task("later", { availableAt: yield* inSeconds(fixture, 3_600) })])
      const run = yield* start(untilDrained(fixture))
      yield* fixture.store.cancel({ ids: ids("running") })
      yield* fixture.advance(1)
      isWaiting(run)
      yield* fixture.store.cancel({ ids: ids("later") })
      assert.equal(yield* Fiber.join(run), "drained")
    })
  ),
  it(
    "a store is not drained while a task becomes available later",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { availableAt: yield* inSeconds(fixture, 3) })])
      const run = yield* start(untilFound(fixture, claim(fixture), { untilDrained: true }))
      yield* fixture.advance(1)
      isWaiting(run)
      yield* fixture.advance(3)
      assert.deepEqual(claimedIds(yield* Fiber.join(run)), ["a"])
    })
  ),
  it(
    "a caller that awaits a task gets it once it is completed, failed or cancelled, and not before",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("completed"), task("failed"), task("cancelled"), task("retried")])
      const awaited = yield* Effect.forEach(ids("completed", "failed", "cancelled", "retried"), (each) =>
        start(fixture.store.awaitSettled(each))
      )
      const [completed, failed, , retried] = yield* claim(fixture)
      assert.ok(completed && failed && retried)
      yield* settle(fixture, retry(retried))
      yield* fixture.advance(2)
      for (const fiber of awaited) isWaiting(fiber)
      yield* settle(fixture, complete(completed, "the result"), fail(failed, { feedback: "Refused." }))
      yield* fixture.store.cancel({ ids: ids("cancelled") })
      const [first, second, third] = yield* Effect.forEach(awaited.slice(0, 3), (fiber) => eventually(fixture, fiber))
      assert.equal(first?.result, "the result")
      assert.equal(second?.feedback, "Refused.")
      assert.equal(third?.status, "cancelled")
      for (const fiber of awaited.slice(3)) isWaiting(fiber)
    }),
    { inOneSession: true }
  ),
  it(
    "a task that was settled before it is awaited is returned at once, and one that does not exist is none",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, complete(yield* claimNew(fixture, "done")))
      const settled = yield* fixture.store.awaitSettled(id("done"))
      assert.equal(Option.getOrThrow(settled).status, "completed")
      assert.ok(Option.isNone(yield* fixture.store.awaitSettled(id("missing"))))
    })
  ),
  it(
    "a task that is deleted while it is awaited is none",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      const awaited = yield* start(fixture.store.awaitSettled(id("a")))
      yield* fixture.store.cancel({ ids: ids("a") })
      yield* fixture.store.prune({ statuses: ["cancelled"] })
      // It may have been seen in between.
      const found = yield* eventually(fixture, awaited)
      assert.ok(found === undefined || found.status === "cancelled")
    }),
    { inOneSession: true }
  )
]
