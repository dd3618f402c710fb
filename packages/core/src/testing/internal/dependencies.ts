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
  type Fixture
} from "./fixture.ts"

const waiting = ({ store }: Fixture) => Effect.map(store.counts, (counts) => counts.waiting)

/** Claims and completes the claimable tasks, and returns their ids. */
const completeAll = Effect.fnUntraced(function* (fixture: Fixture) {
  const claims = yield* claim(fixture)
  yield* settle(fixture, ...claims.map((claimed) => complete(claimed)))
  return claimedIds(claims)
})

export const dependencies: ReadonlyArray<Case> = [
  it(
    "a chain is completed link by link",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("c", { dependsOn: ["b"] }), task("b", { dependsOn: ["a"] }), task("a")])
      assert.equal(yield* waiting(fixture), 2)
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.equal(yield* waiting(fixture), 1)
      assert.deepEqual(yield* completeAll(fixture), ["b"])
      assert.deepEqual(yield* completeAll(fixture), ["c"])
      assert.equal(yield* waiting(fixture), 0)
      assert.equal((yield* fixture.store.counts).completed, 3)
    })
  ),
  it(
    "a batch that settles a task twice applies in order, also when other tasks wait for it",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      const claimed = yield* claimOne(fixture)
      const { lost } = yield* fixture.store.settle([complete(claimed), retry(claimed)])
      assert.deepEqual(
        lost.map(({ status }) => status),
        ["completed"]
      )
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["b"])
    })
  ),
  it(
    "a task waits for all of its dependencies",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("a"),
        task("b"),
        task("c"),
        task("last", { dependsOn: ["a", "b", "c"], priority: 9 })
      ])
      const [a, b, c] = yield* claim(fixture)
      assert.ok(a && b && c)
      assert.deepEqual(yield* claim(fixture), [])
      yield* settle(fixture, complete(a), complete(c))
      assert.deepEqual(yield* claim(fixture), [])
      yield* settle(fixture, complete(b))
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["last"])
    })
  ),
  it(
    "dependencies that complete in one batch free their dependant",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("last", { dependsOn: ["a", "b"] })])
      assert.deepEqual(yield* completeAll(fixture), ["a", "b"])
      assert.deepEqual(yield* completeAll(fixture), ["last"])
    })
  ),
  it(
    "all dependants of a task become claimable when it completes, in the order of claiming",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("first"),
        task("b", { dependsOn: ["first"] }),
        task("a", { dependsOn: ["first"] }),
        task("urgent", { dependsOn: ["first"], priority: 5 })
      ])
      yield* completeAll(fixture)
      assert.deepEqual(yield* completeAll(fixture), ["urgent", "b", "a"])
    })
  ),
  it(
    "a dependency that is listed twice is one dependency",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a", "a"] })])
      assert.equal(yield* waiting(fixture), 1)
      yield* completeAll(fixture)
      assert.equal(yield* waiting(fixture), 0)
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a dependency that is already completed does not block",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, complete(yield* claimNew(fixture, "a")))
      yield* fixture.store.add([task("b", { dependsOn: ["a"] })])
      assert.equal(yield* waiting(fixture), 0)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["b"])
    })
  ),
  it(
    "a dependency blocks while it is retried, released or swept",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* settle(fixture, retry(yield* claimOne(fixture)))
      yield* settle(fixture, release(yield* claimOne(fixture)))
      yield* claimOne(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a dependency that failed blocks until it is requeued and completes",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* settle(fixture, fail(yield* claimOne(fixture)))
      assert.deepEqual(yield* claim(fixture), [])
      assert.equal(yield* waiting(fixture), 1)
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a dependency that was cancelled blocks until it is requeued and completes",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* fixture.store.cancel({ ids: ids("a") })
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a task that is cancelled and requeued while it waits still waits",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* fixture.store.cancel({ ids: ids("b") })
      assert.equal(yield* waiting(fixture), 0)
      yield* fixture.store.requeue({ ids: ids("b") })
      assert.equal(yield* waiting(fixture), 1)
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a cancelled task whose dependency completes is not claimed, and is claimable once requeued",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* fixture.store.cancel({ ids: ids("b") })
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.store.requeue({ ids: ids("b") })
      assert.equal(yield* waiting(fixture), 0)
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a task whose dependencies are completed still waits until it is available",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"], availableAt: yield* inSeconds(fixture, 3) })])
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      assert.equal(yield* waiting(fixture), 0)
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.advance(4)
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "pruning a completed task blocks no dependant",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b", { dependsOn: ["a"] })])
      yield* completeAll(fixture)
      assert.equal(yield* fixture.store.prune({ statuses: ["completed"] }), 1)
      assert.equal(yield* waiting(fixture), 0)
      yield* settle(fixture, fail(yield* claimOne(fixture)))
      yield* fixture.store.requeue({ ids: ids("b") })
      assert.deepEqual(yield* completeAll(fixture), ["b"])
    })
  ),
  it(
    "a task that a pending task waits for is not pruned",
    Effect.fnUntraced(function* (fixture) {
      const prune = (taskIds?: ReadonlyArray<string>) =>
        fixture.store.prune({
          statuses: ["failed", "cancelled"],
          ...(taskIds === undefined ? undefined : { ids: ids(...taskIds) })
        })
      yield* fixture.store.add([task("a"), task("b"), task("c", { dependsOn: ["a", "b"] })])
      yield* settle(fixture, fail(yield* claimOne(fixture)))
      yield* fixture.store.cancel({ ids: ids("b") })
      assert.equal(yield* prune(["a", "b"]), 0)
      assert.equal(yield* prune(), 0)
      assert.equal(yield* waiting(fixture), 1)
      // It can still be requeued, and the waiting task runs after it.
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.deepEqual(yield* completeAll(fixture), ["a"])
      yield* fixture.store.cancel({ ids: ids("c") })
      assert.equal(yield* prune(), 2)
    })
  )
]
