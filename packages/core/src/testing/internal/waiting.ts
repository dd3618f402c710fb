import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inSeconds } from "./claiming.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  fail,
  ids,
  it,
  leaseOf,
  patient,
  release,
  retry,
  settle,
  task,
  type World
} from "./world.ts"

/** What a worker does: waits for a signal and looks, as often as it takes, because a signal can be for nothing. */
const untilFound = <A>(
  world: World,
  look: Effect.Effect<ReadonlyArray<A>, unknown>,
  options = { untilDrained: false }
): Effect.Effect<ReadonlyArray<A>, unknown> =>
  Effect.flatMap(world.store.awaitWork(options), (signal) => {
    assert.equal(signal, "claimable")
    return Effect.flatMap(look, (found) =>
      found.length > 0 ? Effect.succeed(found) : Effect.andThen(Effect.yieldNow, untilFound(world, look, options))
    )
  })

const untilDrained = (world: World): Effect.Effect<"drained", unknown> =>
  Effect.flatMap(world.store.awaitWork({ untilDrained: true }), (signal) =>
    signal === "drained" ? Effect.succeed(signal) : Effect.andThen(Effect.yieldNow, untilDrained(world))
  )

const start = <A>(waiting: Effect.Effect<A, unknown>) => Effect.forkChild(waiting, { startImmediately: true })

const waitForClaim = (world: World) => start(Effect.map(untilFound(world, claim(world)), claimedIds))

const waitForSweep = (world: World) =>
  start(Effect.map(untilFound(world, world.store.sweep(patient)), (swept) => swept.map(({ taskId }) => taskId)))

const isWaiting = (fiber: Fiber.Fiber<unknown, unknown>) =>
  assert.equal(fiber.pollUnsafe(), undefined, "it still waits")

export const waiting: ReadonlyArray<Case> = [
  it(
    "who waits is told at once when there is something to claim",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a")])
      assert.equal(yield* world.store.awaitWork({ untilDrained: false }), "claimable")
      assert.equal(yield* world.store.awaitWork({ untilDrained: true }), "claimable")
    })
  ),
  it(
    "who waits is woken by a task that is added",
    Effect.fnUntraced(function* (world) {
      const worker = yield* waitForClaim(world)
      yield* world.pass(1)
      isWaiting(worker)
      yield* world.store.add([task("a")])
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "all who wait are woken",
    Effect.fnUntraced(function* (world) {
      const workers = yield* Effect.forEach(["a", "b", "c"], () => start(untilFound(world, claim(world, { limit: 1 }))))
      yield* world.store.add([task("a"), task("b"), task("c")])
      const claims = yield* Effect.forEach(workers, (worker) => Fiber.join(worker))
      assert.deepEqual(claims.flatMap(claimedIds).toSorted(), ["a", "b", "c"])
    })
  ),
  it(
    "who waits is woken when a task becomes available",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a", { availableAt: yield* inSeconds(world, 3) })])
      const worker = yield* waitForClaim(world)
      yield* world.pass(1)
      isWaiting(worker)
      yield* world.pass(3)
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "who waits for one time is woken earlier by a task that is available earlier",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("late", { availableAt: yield* inSeconds(world, 3_600) })])
      const worker = yield* waitForClaim(world)
      yield* world.pass(1)
      yield* world.store.add([task("early", { availableAt: yield* inSeconds(world, 1) })])
      yield* world.pass(2)
      assert.deepEqual(yield* Fiber.join(worker), ["early"])
    })
  ),
  it(
    "who waits is woken when the delay of a retried task is over",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      const worker = yield* waitForClaim(world)
      yield* settle(world, retry(claimed, { delay: world.seconds(2) }))
      yield* world.pass(3)
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "who waits is woken by a task that is released, requeued, or whose dependency completes",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const first = yield* claimOne(world)
      const afterRelease = yield* waitForClaim(world)
      yield* settle(world, release(first))
      assert.deepEqual(yield* Fiber.join(afterRelease), ["a"])
      yield* world.store.cancel({ ids: ids("a") })
      const afterRequeue = yield* start(untilFound(world, claim(world)))
      yield* world.store.requeue({ ids: ids("a") })
      const [again] = yield* Fiber.join(afterRequeue)
      assert.equal(again?.task.id, "a")
      const afterCompletion = yield* waitForClaim(world)
      yield* settle(world, complete(again))
      assert.deepEqual(yield* Fiber.join(afterCompletion), ["b"])
    })
  ),
  it(
    "who waits is woken when a lease ends",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a", world.seconds(2))
      const sweeper = yield* waitForSweep(world)
      yield* world.pass(1)
      isWaiting(sweeper)
      yield* world.pass(2)
      assert.deepEqual(yield* Fiber.join(sweeper), ["a"])
    })
  ),
  it(
    "who waits for the end of a lease that is extended is woken at its new end",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a", world.seconds(3))
      const sweeper = yield* waitForSweep(world)
      yield* world.pass(1)
      yield* world.store.extend([leaseOf(claimed)], world.seconds(5))
      yield* world.pass(3)
      isWaiting(sweeper)
      yield* world.pass(3)
      assert.deepEqual(yield* Fiber.join(sweeper), ["a"])
    })
  ),
  it(
    "who waits can be interrupted, and nobody else is disturbed",
    Effect.fnUntraced(function* (world) {
      const gone = yield* waitForClaim(world)
      const worker = yield* waitForClaim(world)
      yield* Fiber.interrupt(gone)
      yield* world.store.add([task("a")])
      assert.deepEqual(yield* Fiber.join(worker), ["a"])
    })
  ),
  it(
    "an empty store is drained",
    Effect.fnUntraced(function* (world) {
      assert.equal(yield* world.store.awaitWork({ untilDrained: true }), "drained")
    })
  ),
  it(
    "a store is drained when all its tasks have ended, or wait for one that did not complete",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([
        task("a"),
        task("b"),
        task("c", { dependsOn: ["b"] }),
        task("d", { dependsOn: ["c"] }),
        task("e")
      ])
      yield* world.store.cancel({ ids: ids("e") })
      const [a, b] = yield* claim(world)
      assert.ok(a && b)
      yield* settle(world, complete(a), fail(b))
      assert.equal(yield* world.store.awaitWork({ untilDrained: true }), "drained")
    })
  ),
  it(
    "a store with a running task is drained once the task has ended",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      const run = yield* start(untilDrained(world))
      yield* world.pass(1)
      isWaiting(run)
      yield* settle(world, complete(claimed))
      assert.equal(yield* Fiber.join(run), "drained")
    })
  ),
  it(
    "a store is drained once its last task is cancelled",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "running")
      yield* world.store.add([task("later", { availableAt: yield* inSeconds(world, 3_600) })])
      const run = yield* start(untilDrained(world))
      yield* world.store.cancel({ ids: ids("running") })
      yield* world.pass(1)
      isWaiting(run)
      yield* world.store.cancel({ ids: ids("later") })
      assert.equal(yield* Fiber.join(run), "drained")
    })
  ),
  it(
    "a store is not drained while a task becomes available later",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a", { availableAt: yield* inSeconds(world, 3) })])
      const run = yield* start(untilFound(world, claim(world), { untilDrained: true }))
      yield* world.pass(1)
      isWaiting(run)
      yield* world.pass(3)
      assert.deepEqual(claimedIds(yield* Fiber.join(run)), ["a"])
    })
  )
]
