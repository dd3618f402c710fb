import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
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
  patient,
  release,
  retry,
  settle,
  task,
  type World
} from "./world.ts"

const waiting = ({ store }: World) => Effect.map(store.counts, (counts) => counts.waiting)

/** Claims what can be claimed, completes it and says what it was. */
const completeAll = Effect.fnUntraced(function* (world: World) {
  const claims = yield* claim(world)
  yield* settle(world, ...claims.map((claimed) => complete(claimed)))
  return claimedIds(claims)
})

export const dependencies: ReadonlyArray<Case> = [
  it(
    "a chain is worked off link by link",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("c", { dependsOn: ["b"] }), task("b", { dependsOn: ["a"] }), task("a")])
      assert.equal(yield* waiting(world), 2)
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.equal(yield* waiting(world), 1)
      assert.deepEqual(yield* completeAll(world), ["b"])
      assert.deepEqual(yield* completeAll(world), ["c"])
      assert.equal(yield* waiting(world), 0)
      assert.equal((yield* world.store.counts).completed, 3)
    })
  ),
  it(
    "a batch that settles a task twice counts in its order, also where others wait for the task",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const claimed = yield* claimOne(world)
      const { lost } = yield* world.store.settle([complete(claimed), retry(claimed)])
      assert.deepEqual(
        lost.map(({ status }) => status),
        ["completed"]
      )
      assert.deepEqual(claimedIds(yield* claim(world)), ["b"])
    })
  ),
  it(
    "a task waits for all of its dependencies",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([
        task("a"),
        task("b"),
        task("c"),
        task("last", { dependsOn: ["a", "b", "c"], priority: 9 })
      ])
      const [a, b, c] = yield* claim(world)
      assert.ok(a && b && c)
      assert.deepEqual(yield* claim(world), [])
      yield* settle(world, complete(a), complete(c))
      assert.deepEqual(yield* claim(world), [])
      yield* settle(world, complete(b))
      assert.deepEqual(claimedIds(yield* claim(world)), ["last"])
    })
  ),
  it(
    "dependencies that complete in one batch let their dependant go",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b"), task("last", { dependsOn: ["a", "b"] })])
      assert.deepEqual(yield* completeAll(world), ["a", "b"])
      assert.deepEqual(yield* completeAll(world), ["last"])
    })
  ),
  it(
    "all that wait for a task go on when it completes, in the order of claiming",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([
        task("first"),
        task("b", { dependsOn: ["first"] }),
        task("a", { dependsOn: ["first"] }),
        task("urgent", { dependsOn: ["first"], priority: 5 })
      ])
      yield* completeAll(world)
      assert.deepEqual(yield* completeAll(world), ["urgent", "b", "a"])
    })
  ),
  it(
    "a dependency that is named twice is one dependency",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a", "a"] })])
      assert.equal(yield* waiting(world), 1)
      yield* completeAll(world)
      assert.equal(yield* waiting(world), 0)
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a dependency that is already completed does not block",
    Effect.fnUntraced(function* (world) {
      yield* settle(world, complete(yield* claimNew(world, "a")))
      yield* world.store.add([task("b", { dependsOn: ["a"] })])
      assert.equal(yield* waiting(world), 0)
      assert.deepEqual(claimedIds(yield* claim(world)), ["b"])
    })
  ),
  it(
    "a dependency blocks as long as it is retried, released or taken back",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* settle(world, retry(yield* claimOne(world)))
      yield* settle(world, release(yield* claimOne(world)))
      yield* claimOne(world, { lease: world.seconds(1) })
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a dependency that failed blocks until it is requeued and completes",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* settle(world, fail(yield* claimOne(world)))
      assert.deepEqual(yield* claim(world), [])
      assert.equal(yield* waiting(world), 1)
      yield* world.store.requeue({ ids: ids("a") })
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a dependency that was cancelled blocks until it is requeued and completes",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* world.store.cancel({ ids: ids("a") })
      assert.deepEqual(yield* claim(world), [])
      yield* world.store.requeue({ ids: ids("a") })
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a task that is cancelled and requeued while it waits goes on waiting",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* world.store.cancel({ ids: ids("b") })
      assert.equal(yield* waiting(world), 0)
      yield* world.store.requeue({ ids: ids("b") })
      assert.equal(yield* waiting(world), 1)
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a task that was cancelled while its dependency completed is not claimed, and waits for nothing once requeued",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* world.store.cancel({ ids: ids("b") })
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.deepEqual(yield* claim(world), [])
      yield* world.store.requeue({ ids: ids("b") })
      assert.equal(yield* waiting(world), 0)
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "a task whose dependencies are completed still waits until it is available",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"], availableAt: yield* inSeconds(world, 3) })])
      assert.deepEqual(yield* completeAll(world), ["a"])
      assert.equal(yield* waiting(world), 0)
      assert.deepEqual(yield* claim(world), [])
      yield* world.pass(4)
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "pruning a completed task blocks nobody",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* completeAll(world)
      assert.equal(yield* world.store.prune({ statuses: ["completed"] }), 1)
      assert.equal(yield* waiting(world), 0)
      yield* settle(world, fail(yield* claimOne(world)))
      yield* world.store.requeue({ ids: ids("b") })
      assert.deepEqual(yield* completeAll(world), ["b"])
    })
  ),
  it(
    "pruning a failed task lets nobody go on: it never completed",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* settle(world, fail(yield* claimOne(world)))
      assert.equal(yield* world.store.prune({ statuses: ["failed"] }), 1)
      assert.deepEqual(yield* claim(world), [])
      assert.equal(yield* waiting(world), 1)
    })
  )
]
