import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Claim } from "../../TaskStore.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimOne,
  complete,
  execution,
  find,
  id,
  ids,
  it,
  lastAttempt,
  leaseOf,
  longLease,
  numbered,
  outcomes,
  patient,
  settle,
  task,
  type Fixture
} from "./fixture.ts"

/** Claims tasks of which the first `started` start. They are added by name, and claimed in that order. */
const claimSome = Effect.fnUntraced(function* (
  fixture: Fixture,
  names: ReadonlyArray<string>,
  options: { readonly started: number; readonly seconds?: number }
) {
  yield* fixture.store.add(names.map((name, index) => task(name, { priority: names.length - index })))
  const { started, seconds } = options
  const lease = seconds === undefined ? longLease : fixture.seconds(seconds)
  const claims = yield* claim(fixture, { started, lease })
  assert.deepEqual(claimedIds(claims), names)
  return claims
})

const start = (fixture: Fixture, ...claims: ReadonlyArray<Claim>) => fixture.store.start(claims.map(leaseOf))

const once = { maxAttempts: 1, onCrash: "retry" } as const
const neverTwice = { maxAttempts: 1, onCrash: "dead-letter" } as const

export const starting: ReadonlyArray<Case> = [
  it(
    "a claim starts its first tasks, as many as it says",
    Effect.fnUntraced(function* (fixture) {
      yield* claimSome(fixture, ["a", "b", "c"], { started: 2 })
      assert.deepEqual(yield* outcomes(fixture, "a"), ["running"])
      assert.deepEqual(yield* outcomes(fixture, "b"), ["running"])
      const [worker] = yield* fixture.store.workers
      assert.deepEqual([worker?.running, worker?.claimed], [2, 1])
      assert.deepEqual(yield* outcomes(fixture, "c"), ["claimed"])
      const { tasks } = yield* fixture.store.list({ status: "in_progress" })
      assert.deepEqual(
        tasks.map(({ id, startedAt }) => [id, startedAt === undefined]),
        [
          ["a", false],
          ["b", false],
          ["c", true]
        ]
      )
      assert.deepEqual((yield* fixture.store.counts).in_progress, 3)
    })
  ),
  it(
    "a claim that says nothing starts all of its tasks",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(3))
      for (const claimed of yield* claim(fixture)) {
        assert.deepEqual(yield* outcomes(fixture, claimed.task.id), ["running"])
      }
    })
  ),
  it(
    "tasks of several queues are started in the order of their claim",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a1", { queue: "a" }), task("a2", { queue: "a" }), task("b1", { queue: "b" })])
      const claims = yield* fixture.store.claim({
        queues: ["a", "b"],
        limit: 10,
        owner: "worker",
        lease: longLease,
        started: 2
      })
      assert.equal(claims.length, 3)
      for (const [index, claimed] of claims.entries()) {
        assert.deepEqual(yield* outcomes(fixture, claimed.task.id), [index < 2 ? "running" : "claimed"])
      }
    })
  ),
  it(
    "a task that was claimed and not started gets its attempt back when its worker dies, whatever the policy",
    Effect.fnUntraced(function* (fixture) {
      for (const [index, policy] of [once, neverTwice].entries()) {
        const name = `a${index}`
        const [claimed] = yield* claimSome(fixture, [name], { started: 0, seconds: 1 })
        assert.ok(claimed)
        yield* fixture.advance(2)
        assert.deepEqual(yield* fixture.store.sweep(policy), [
          { ...leaseOf(claimed), status: "pending", owner: "worker", attempts: 0, started: false }
        ])
        const swept = yield* find(fixture, name)
        assert.deepEqual([swept.status, swept.attempts, swept.feedback], ["pending", 0, undefined])
        const attempt = yield* lastAttempt(fixture, name)
        assert.equal(attempt.outcome, "released")
        assert.match(attempt.error ?? "", /before it started/)
        assert.deepEqual(attempt.startedAt, attempt.endedAt)
        const again = yield* claimOne(fixture)
        assert.deepEqual([again.task.attempts, again.token], [1, 2])
        yield* settle(fixture, complete(again))
      }
    })
  ),
  it(
    "of the tasks of a dead worker, those that were started use up an attempt",
    Effect.fnUntraced(function* (fixture) {
      const [, b] = yield* claimSome(fixture, ["a", "b", "c"], { started: 1, seconds: 3 })
      assert.ok(b)
      assert.deepEqual((yield* start(fixture, b)).lost, [])
      yield* fixture.advance(4)
      const swept = yield* fixture.store.sweep(once)
      assert.deepEqual(
        swept.map(({ attempts, started, status, taskId }) => [taskId, status, attempts, started]).toSorted(),
        [
          ["a", "failed", 1, true],
          ["b", "failed", 1, true],
          ["c", "pending", 0, false]
        ]
      )
      assert.deepEqual(yield* outcomes(fixture, "b"), ["lease_expired"])
      assert.deepEqual((yield* fixture.store.counts).failed, 2)
    })
  ),
  it(
    "an attempt begins with its start, and not with its claim",
    Effect.fnUntraced(function* (fixture) {
      const [claimed] = yield* claimSome(fixture, ["a"], { started: 0 })
      assert.ok(claimed)
      const waiting = yield* lastAttempt(fixture, "a")
      yield* fixture.advance(1)
      yield* start(fixture, claimed)
      const running = yield* lastAttempt(fixture, "a")
      assert.equal(running.outcome, "running")
      assert.ok(running.startedAt.epochMilliseconds > waiting.startedAt.epochMilliseconds)
      assert.deepEqual((yield* find(fixture, "a")).startedAt, running.startedAt)
      yield* fixture.advance(1)
      assert.deepEqual((yield* start(fixture, claimed)).lost, [], "starting twice is allowed")
      yield* settle(fixture, complete(claimed))
      const ended = yield* lastAttempt(fixture, "a")
      assert.deepEqual([ended.outcome, ended.startedAt], ["completed", running.startedAt])
      assert.equal((yield* find(fixture, "a")).startedAt, undefined)
    })
  ),
  it(
    "a task that was not started can be extended, settled and cancelled like any other",
    Effect.fnUntraced(function* (fixture) {
      const [a, b, c] = yield* claimSome(fixture, ["a", "b", "c"], { started: 0, seconds: 2 })
      assert.ok(a && b && c)
      assert.deepEqual((yield* fixture.store.extend([a, b, c].map(leaseOf), longLease)).lost, [])
      yield* fixture.advance(3)
      assert.deepEqual(yield* fixture.store.sweep(patient), [])
      assert.deepEqual(yield* outcomes(fixture, "b"), ["claimed"])
      yield* settle(fixture, complete(a))
      assert.deepEqual(yield* fixture.store.cancel({ ids: ids("b") }), ids("b"))
      assert.deepEqual(yield* outcomes(fixture, "b"), ["cancelled"])
      assert.equal((yield* find(fixture, "b")).attempts, 1)
      const reply = yield* fixture.store.checkpoint([{ ...leaseOf(c), execution: execution("saved") }])
      assert.deepEqual(reply.lost, [])
    })
  ),
  it(
    "a start under a lease that was lost is reported and starts nothing",
    Effect.fnUntraced(function* (fixture) {
      const [stale] = yield* claimSome(fixture, ["a"], { started: 0, seconds: 1 })
      assert.ok(stale)
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      assert.deepEqual((yield* start(fixture, stale)).lost, [{ ...leaseOf(stale), status: "pending" }])
      const [current] = yield* claim(fixture, { started: 0 })
      assert.ok(current)
      assert.deepEqual((yield* start(fixture, stale)).lost, [{ ...leaseOf(stale), status: "in_progress" }])
      assert.deepEqual(yield* outcomes(fixture, "a"), ["released", "claimed"])
      yield* settle(fixture, complete(current))
      assert.deepEqual((yield* start(fixture, current)).lost, [{ ...leaseOf(current), status: "completed" }])
      assert.deepEqual((yield* fixture.store.start([{ ...leaseOf(current), taskId: id("missing") }])).lost.length, 1)
      assert.deepEqual((yield* fixture.store.start([])).lost, [])
    })
  )
]

/** For a store that treats each claimed task as started. */
export const withoutStarts: ReadonlyArray<Case> = [
  it(
    "each claimed task is started",
    Effect.fnUntraced(function* (fixture) {
      const [claimed] = yield* claimSome(fixture, ["a"], { started: 0, seconds: 1 })
      assert.ok(claimed)
      assert.deepEqual(yield* outcomes(fixture, "a"), ["running"])
      assert.deepEqual((yield* start(fixture, claimed)).lost, [])
      assert.notEqual((yield* find(fixture, "a")).startedAt, undefined)
      yield* fixture.advance(2)
      assert.deepEqual(
        (yield* fixture.store.sweep(once)).map(({ started, status }) => [status, started]),
        [["failed", true]]
      )
    })
  )
]
