import * as assert from "node:assert/strict"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Task from "../../Task.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  fail,
  find,
  ids,
  it,
  numbered,
  patient,
  plainTask,
  release,
  retry,
  settle,
  task,
  type World
} from "./world.ts"

/** A time so many of the suite's seconds from now. */
export const inSeconds = (world: World, seconds: number): Effect.Effect<DateTime.Utc> =>
  Effect.map(Clock.currentTimeMillis, (now) => DateTime.makeUnsafe(now + Duration.toMillis(world.seconds(seconds))))

/** Before all time that the suite knows; a test clock starts in 1970. */
const longAgo = (order: number) => DateTime.makeUnsafe(Date.UTC(1969, 0, order))

const addedAndClaimed = Effect.fnUntraced(function* (world: World, tasks: ReadonlyArray<Task.NewTask>) {
  yield* world.store.add(tasks)
  return claimedIds(yield* claim(world))
})

export const claiming: ReadonlyArray<Case> = [
  it(
    "an empty store gives nothing",
    Effect.fnUntraced(function* (world) {
      assert.deepEqual(yield* claim(world), [])
    })
  ),
  it(
    "a claimed task is in progress, with this attempt counted",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      assert.equal(claimed.task.status, "in_progress")
      assert.equal(claimed.task.attempts, 1)
      assert.equal(claimed.token, 1)
      assert.equal(claimed.checkpoint, null)
      assert.equal(claimed.previousOutput, null)
      assert.deepEqual(plainTask(yield* find(world, "a")), plainTask(claimed.task))
    })
  ),
  it(
    "a claimed task is not claimed again",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a")
      assert.deepEqual(yield* claim(world), [])
    })
  ),
  it(
    "a higher priority goes first",
    Effect.fnUntraced(function* (world) {
      const order = yield* addedAndClaimed(world, [
        task("low", { priority: -1 }),
        task("normal"),
        task("high", { priority: 10 }),
        task("higher", { priority: 11 })
      ])
      assert.deepEqual(order, ["higher", "high", "normal", "low"])
    })
  ),
  it(
    "of the same priority, the one available for longest goes first",
    Effect.fnUntraced(function* (world) {
      const order = yield* addedAndClaimed(world, [
        task("now"),
        task("third", { availableAt: longAgo(3) }),
        task("first", { availableAt: longAgo(1) }),
        task("second", { availableAt: longAgo(2) }),
        task("urgent", { priority: 1 })
      ])
      assert.deepEqual(order, ["urgent", "first", "second", "third", "now"])
    })
  ),
  it(
    "of those available for equally long, the one added first goes first",
    Effect.fnUntraced(function* (world) {
      const availableAt = longAgo(1)
      yield* world.store.add([task("b", { availableAt }), task("a", { availableAt })])
      yield* world.store.add([task("0", { availableAt })])
      assert.deepEqual(claimedIds(yield* claim(world)), ["b", "a", "0"])
    })
  ),
  it(
    "a claim takes no more than its limit, and goes on from there",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add(numbered(5))
      assert.deepEqual(claimedIds(yield* claim(world, { limit: 2 })), ["task-0", "task-1"])
      assert.deepEqual(claimedIds(yield* claim(world, { limit: 2 })), ["task-2", "task-3"])
      assert.deepEqual(claimedIds(yield* claim(world, { limit: 2 })), ["task-4"])
    })
  ),
  it(
    "a thousand tasks are claimed at once, in order",
    Effect.fnUntraced(function* (world) {
      const tasks = numbered(1_500)
      yield* world.store.add(tasks)
      const claims = yield* claim(world, { limit: 1_000 })
      assert.deepEqual(
        claimedIds(claims),
        tasks.slice(0, 1_000).map((each) => each.id)
      )
    })
  ),
  it(
    "a task is not claimed before it is available",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add([task("later", { availableAt: yield* inSeconds(world, 3) }), task("now")])
      assert.deepEqual(claimedIds(yield* claim(world)), ["now"])
      yield* world.pass(1)
      assert.deepEqual(yield* claim(world), [])
      yield* world.pass(3)
      assert.deepEqual(claimedIds(yield* claim(world)), ["later"])
    })
  ),
  it(
    "claimers at the same time never share a task",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add(numbered(200))
      const claims = yield* Effect.all(
        Array.from({ length: 40 }, (_, index) => claim(world, { limit: 7, owner: `worker-${index}` })),
        { concurrency: "unbounded" }
      )
      const taken = claims.flatMap(claimedIds)
      assert.equal(taken.length, 200)
      assert.equal(new Set(taken).size, 200)
    })
  ),
  it(
    "a task's token grows by one with each claim and is never used again",
    Effect.fnUntraced(function* (world) {
      const first = yield* claimNew(world, "a")
      yield* settle(world, retry(first))
      const second = yield* claimOne(world)
      yield* settle(world, release(second))
      const third = yield* claimOne(world, { lease: world.seconds(1) })
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      const fourth = yield* claimOne(world)
      yield* settle(world, fail(fourth))
      yield* world.store.requeue({ ids: ids("a") })
      const fifth = yield* claimOne(world)
      yield* world.store.cancel({ ids: ids("a") })
      yield* world.store.requeue({ ids: ids("a") })
      const sixth = yield* claimOne(world)
      assert.deepEqual(
        [first, second, third, fourth, fifth, sixth].map(({ token }) => token),
        [1, 2, 3, 4, 5, 6]
      )
    })
  ),
  it(
    "a task that comes back goes behind those that have been available for longer",
    Effect.fnUntraced(function* (world) {
      yield* world.store.add(["retried", "released", "swept"].map((name) => task(name)))
      const [retried, released] = yield* claim(world, { limit: 2 })
      assert.ok(retried && released)
      yield* claimOne(world, { lease: world.seconds(1) })
      yield* world.pass(1)
      yield* world.store.add([task("waiting")])
      yield* world.pass(1)
      yield* settle(world, retry(retried))
      yield* world.pass(1)
      yield* settle(world, release(released))
      yield* world.pass(1)
      yield* world.store.sweep(patient)
      assert.deepEqual(claimedIds(yield* claim(world)), ["waiting", "retried", "released", "swept"])
    })
  )
]
