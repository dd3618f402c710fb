import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  failures,
  find,
  ids,
  it,
  lastAttempt,
  leaseOf,
  numbered,
  release,
  retry,
  settle,
  task,
  usage,
  type Fixture
} from "./fixture.ts"

/** Puts a task back in line, whether it was retried or has failed. */
const bringBack = (fixture: Fixture, name: string) =>
  Effect.andThen(fixture.store.requeue({ ids: ids(name) }), claimOne(fixture, { owner: "successor" }))

export const settling: ReadonlyArray<Case> = [
  it(
    "completing a task saves its result and whether it was verified",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* fixture.advance(1)
      yield* settle(fixture, { ...complete(claimed, "the answer"), usage: usage(20) })
      const done = yield* find(fixture, "a")
      assert.equal(done.status, "completed")
      assert.equal(done.result, "the answer")
      assert.equal(done.verified, true)
      assert.equal(done.attempts, 1)
      assert.equal(done.feedback, undefined)
      assert.deepEqual(done.usage, usage(20))
      assert.ok(done.updatedAt.epochMilliseconds > done.createdAt.epochMilliseconds)
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "a task can be completed unverified, and an empty result is a result",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, {
        _tag: "Complete",
        ...leaseOf(claimed),
        execution: execution(""),
        verification: undefined,
        verified: false
      })
      const done = yield* find(fixture, "a")
      assert.equal(done.verified, false)
      assert.equal(done.result, "")
    })
  ),
  it(
    "a retried task is pending with its feedback, attempts and usage",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...retry(claimed, { feedback: "Say more.", output: "Too short" }), usage: usage(5) })
      const retried = yield* find(fixture, "a")
      assert.equal(retried.status, "pending")
      assert.equal(retried.attempts, 1)
      assert.equal(retried.feedback, "Say more.")
      assert.equal(retried.result, undefined)
      assert.deepEqual(retried.usage, usage(5))
      const again = yield* claimOne(fixture)
      assert.equal(again.task.attempts, 2)
      assert.equal(again.task.feedback, "Say more.")
      assert.equal(again.previousOutput, "Too short")
      assert.equal(again.checkpoint, undefined)
    })
  ),
  it(
    "feedback is deleted when the task completes",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "a"), { feedback: "Say more." }))
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      assert.equal((yield* find(fixture, "a")).feedback, undefined)
    })
  ),
  it(
    "a retried task is not claimed before its delay is over",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, retry(claimed, { delay: fixture.seconds(3) }))
      yield* fixture.advance(1)
      assert.deepEqual(yield* claim(fixture), [])
      yield* fixture.advance(3)
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "a failed task stays failed, with its feedback",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, { ...fail(claimed, { feedback: "Refused." }), usage: usage(5) })
      const failed = yield* find(fixture, "a")
      assert.equal(failed.status, "failed")
      assert.equal(failed.attempts, 1)
      assert.equal(failed.feedback, "Refused.")
      assert.equal(failed.result, undefined)
      assert.deepEqual(failed.usage, usage(5))
      yield* fixture.advance(5)
      assert.deepEqual(yield* claim(fixture), [])
    })
  ),
  it(
    "a released task gets its attempt back and is available at once",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "a"), { feedback: "Say more.", output: "Too short" }))
      const second = yield* claimOne(fixture)
      assert.equal(second.task.attempts, 2)
      yield* settle(fixture, release(second))
      const released = yield* find(fixture, "a")
      assert.equal(released.status, "pending")
      assert.equal(released.attempts, 1)
      assert.equal(released.feedback, "Say more.")
      const third = yield* claimOne(fixture)
      assert.equal(third.task.attempts, 2)
      assert.equal(third.token, 3)
      assert.equal(third.previousOutput, "Too short")
    })
  ),
  it(
    "the usage of a released attempt is kept, in the task and in the ledger",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* settle(fixture, release(claimed, "shutting down", { attemptUsage: usage(3), usage: usage(5) }))
      assert.deepEqual((yield* find(fixture, "a")).usage, usage(5))
      const [attempt] = yield* fixture.store.attempts(claimed.task.id)
      assert.deepEqual(attempt?.usage, usage(3))
    })
  ),
  ...failures.flatMap(([what, end]) => [
    it(
      `an output that could not be verified is verified by the next attempt, after the task is ${what}`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        const output = execution("unverified")
        yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: output, usage: usage(7) }])
        yield* settle(fixture, end(claimed, { output: "unverified", checkpoint: output }))
        assert.deepEqual((yield* bringBack(fixture, "a")).checkpoint, output)
      })
    ),
    it(
      `an output that was rejected is not verified again, after the task is ${what}`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: execution("bad") }])
        yield* settle(fixture, end(claimed, { output: "bad" }))
        const next = yield* bringBack(fixture, "a")
        assert.equal(next.checkpoint, undefined)
        assert.equal(next.previousOutput, "bad")
      })
    ),
    it(
      `an attempt that brought nothing out leaves no previous output, after the task is ${what}`,
      Effect.fnUntraced(function* (fixture) {
        yield* settle(fixture, end(yield* claimNew(fixture, "a"), { output: "something" }))
        yield* settle(fixture, end(yield* bringBack(fixture, "a"), { output: null }))
        const third = yield* bringBack(fixture, "a")
        assert.equal(third.previousOutput, undefined)
        yield* settle(fixture, end(third, { output: "" }))
        assert.equal((yield* bringBack(fixture, "a")).previousOutput, undefined)
      })
    )
  ]),
  it(
    "unmetered usage stays unknown, and so does an unknown price",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, complete(yield* claimNew(fixture, "a")))
      assert.equal((yield* find(fixture, "a")).usage, undefined)
      assert.equal((yield* lastAttempt(fixture, "a")).usage, undefined)
      const priceless = usage(9, null)
      yield* settle(fixture, { ...complete(yield* claimNew(fixture, "b")), usage: priceless, attemptUsage: priceless })
      assert.deepEqual((yield* find(fixture, "b")).usage, priceless)
      assert.deepEqual((yield* lastAttempt(fixture, "b")).usage, priceless)
      const free = usage(9, 0)
      yield* settle(fixture, {
        ...complete(yield* claimNew(fixture, "c")),
        usage: free,
        attemptUsage: usage(9, 0.1 + 0.2)
      })
      assert.deepEqual((yield* find(fixture, "c")).usage, free)
      assert.deepEqual((yield* lastAttempt(fixture, "c")).usage, usage(9, 0.1 + 0.2))
    })
  ),
  it(
    "a batch that settles a task twice settles all of its tasks at the same time",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("first"), task("second")])
      const [first, second] = yield* claim(fixture)
      assert.ok(first && second)
      const { lost } = yield* fixture.store.settle([retry(second), retry(second), retry(first)])
      assert.deepEqual(lost, [{ taskId: "second", token: second.token, status: "pending" }])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["first", "second"])
    })
  ),
  it(
    "a batch with an earlier lease of a task settles all of its tasks at the same time",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("first"), task("second")])
      const [first, earlier] = yield* claim(fixture)
      assert.ok(first && earlier)
      yield* settle(fixture, release(earlier))
      const second = yield* claimOne(fixture)
      const { lost } = yield* fixture.store.settle([retry(earlier), retry(second), retry(first)])
      assert.deepEqual(lost, [{ taskId: "second", token: earlier.token, status: "pending" }])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["first", "second"])
    })
  ),
  it(
    "a thousand tasks are settled in one batch, each differently",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(1_000))
      const claims = yield* claim(fixture, { limit: 1_000 })
      const ways = [complete, retry, fail, release]
      yield* settle(fixture, ...claims.map((claimed, index) => (ways[index % ways.length] ?? complete)(claimed)))
      const { completed, failed, in_progress, pending } = yield* fixture.store.counts
      assert.deepEqual(
        { completed, failed, in_progress, pending },
        { completed: 250, failed: 250, in_progress: 0, pending: 500 }
      )
    })
  )
]
