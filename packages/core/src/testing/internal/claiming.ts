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
  type Fixture
} from "./fixture.ts"

/** A time that is a number of the suite's seconds from now. */
export const inSeconds = (fixture: Fixture, seconds: number): Effect.Effect<DateTime.Utc> =>
  Effect.map(Clock.currentTimeMillis, (now) => DateTime.makeUnsafe(now + Duration.toMillis(fixture.seconds(seconds))))

/** Before all time that the suite knows; a test clock starts in 1970. */
const longAgo = (order: number) => DateTime.makeUnsafe(Date.UTC(1969, 0, order))

const addedAndClaimed = Effect.fnUntraced(function* (fixture: Fixture, tasks: ReadonlyArray<Task.NewTask>) {
  yield* fixture.store.add(tasks)
  return claimedIds(yield* claim(fixture))
})

export const claiming: ReadonlyArray<Case> = [
  it(
    "an empty store has nothing to claim",
    Effect.fnUntraced(function* (fixture) {
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "a claim of tasks from several additions leaves exactly the others pending",
    Effect.fnUntraced(function* (fixture) {
      const { store } = fixture
      yield* store.add([task("a"), task("b", { priority: 1 }), task("c"), task("d", { priority: 1 })])
      yield* fixture.advance(1)
      yield* store.add([task("e"), task("f", { priority: 1 }), task("g"), task("h")])
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 6 })), ["b", "d", "f", "a", "c", "e"])
      const { tasks } = yield* store.list({ status: "pending" })
      assert.deepEqual(
        tasks.map(({ id }) => id),
        ["g", "h"]
      )
      assert.equal((yield* store.counts).pending, 2)
    })
  ),
  it(
    "a claimed task is in progress, with this attempt counted",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      assert.equal(claimed.task.status, "in_progress")
      assert.equal(claimed.task.attempts, 1)
      assert.equal(claimed.token, 1)
      assert.equal(claimed.checkpoint, undefined)
      assert.equal(claimed.previousOutput, undefined)
      const { startedAt, ...found } = plainTask(yield* find(fixture, "a"))
      assert.deepEqual(found, plainTask(claimed.task))
      assert.equal(startedAt, found.updatedAt)
    })
  ),
  it(
    "a claimed task is not claimed again",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a")
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "tasks with a higher priority are claimed first",
    Effect.fnUntraced(function* (fixture) {
      const order = yield* addedAndClaimed(fixture, [
        task("low", { priority: -1 }),
        task("normal"),
        task("high", { priority: 10 }),
        task("higher", { priority: 11 })
      ])
      assert.deepEqual(order, ["higher", "high", "normal", "low"])
    })
  ),
  it(
    "among tasks with the same priority, the one available for longest is claimed first",
    Effect.fnUntraced(function* (fixture) {
      const order = yield* addedAndClaimed(fixture, [
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
    "among tasks available for equally long, the one added first is claimed first",
    Effect.fnUntraced(function* (fixture) {
      const availableAt = longAgo(1)
      yield* fixture.store.add([task("b", { availableAt }), task("a", { availableAt })])
      yield* fixture.store.add([task("0", { availableAt })])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["b", "a", "0"])
    })
  ),
  it(
    "a claim takes up to its limit, and the next claim continues from there",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(5))
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 2 })), ["task-0", "task-1"])
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 2 })), ["task-2", "task-3"])
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 2 })), ["task-4"])
    })
  ),
  it(
    "a thousand tasks are claimed at once, in order",
    Effect.fnUntraced(function* (fixture) {
      const tasks = numbered(1_500)
      yield* fixture.store.add(tasks)
      const claims = yield* claim(fixture, { limit: 1_000 })
      assert.deepEqual(
        claimedIds(claims),
        tasks.slice(0, 1_000).map((each) => each.id)
      )
    })
  ),
  it(
    "a task is not claimed before it is available",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("later", { availableAt: yield* inSeconds(fixture, 3) }), task("now")])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["now"])
      yield* fixture.advance(1)
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.advance(3)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["later"])
    })
  ),
  it(
    "concurrent claims never share a task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(200))
      const claims = yield* Effect.all(
        Array.from({ length: 40 }, (_, index) => claim(fixture, { limit: 7, owner: `worker-${index}` })),
        { concurrency: "unbounded" }
      )
      const taken = claims.flatMap(claimedIds)
      assert.equal(taken.length, 200)
      assert.equal(new Set(taken).size, 200)
    })
  ),
  it(
    "a task's token grows by one with each claim and is never used again",
    Effect.fnUntraced(function* (fixture) {
      const first = yield* claimNew(fixture, "a")
      yield* settle(fixture, retry(first))
      const second = yield* claimOne(fixture)
      yield* settle(fixture, release(second))
      const third = yield* claimOne(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      const fourth = yield* claimOne(fixture)
      yield* settle(fixture, fail(fourth))
      yield* fixture.store.requeue({ ids: ids("a") })
      const fifth = yield* claimOne(fixture)
      yield* fixture.store.cancel({ ids: ids("a") })
      yield* fixture.store.requeue({ ids: ids("a") })
      const sixth = yield* claimOne(fixture)
      assert.deepEqual(
        [first, second, third, fourth, fifth, sixth].map(({ token }) => token),
        [1, 2, 3, 4, 5, 6]
      )
    })
  ),
  it(
    "a task that was retried, released or swept is claimed before the tasks that have had no attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(["retried", "released", "swept"].map((name) => task(name)))
      const [retried, released] = yield* claim(fixture, { limit: 2 })
      assert.ok(retried && released)
      yield* claimOne(fixture, { lease: fixture.seconds(1) })
      yield* fixture.advance(1)
      yield* fixture.store.add([task("waiting")])
      yield* fixture.advance(1)
      yield* settle(fixture, retry(retried))
      yield* fixture.advance(1)
      yield* settle(fixture, release(released))
      yield* fixture.advance(1)
      yield* fixture.store.sweep(patient)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["retried", "released", "swept", "waiting"])
    })
  ),
  it(
    "a task that is retried after a delay, or requeued, is claimed before the tasks that have had no attempt",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(["retried", "requeued", "first", "second"].map((name) => task(name)))
      const [retried, requeued] = yield* claim(fixture, { limit: 2 })
      assert.ok(retried && requeued)
      yield* settle(fixture, retry(retried, { delay: fixture.seconds(1) }), fail(requeued))
      assert.deepEqual(claimedIds(yield* claim(fixture, { limit: 1 })), ["first"])
      yield* fixture.store.requeue({ ids: ids("requeued") })
      yield* fixture.advance(1.5)
      yield* fixture.store.add([task("urgent", { priority: 1 }), task("third")])
      const order = claimedIds(yield* claim(fixture))
      assert.deepEqual(order.slice(0, 1), ["urgent"])
      assert.deepEqual(order.slice(1, 3).toSorted(), ["requeued", "retried"])
      assert.deepEqual(order.slice(3), ["second", "third"])
    })
  )
]
