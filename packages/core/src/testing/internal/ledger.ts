import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Attempt } from "../../Attempt.ts"
import * as Verification from "../../Verification.ts"
import {
  type Case,
  claimNew,
  claimOne,
  complete,
  execution,
  fail,
  failures,
  id,
  ids,
  it,
  lastAttempt,
  patient,
  plainAttempt,
  release,
  retry,
  settle,
  usage
} from "./world.ts"

/** A ledger row without its times, which have to be in order. */
const timeless = (attempt: Attempt) => {
  const { endedAt, startedAt, ...rest } = plainAttempt(attempt)
  if (endedAt !== null) assert.ok(startedAt <= endedAt, "an attempt ends after it starts")
  return { ...rest, ended: endedAt !== null }
}

const rejected = Verification.reject("Too short.", {
  confidence: 0.75,
  issues: ["short"],
  // All that the two can have.
  usage: { ...usage(3, null), bounds: { minUsd: 0.25, maxUsd: 0.5, maxTokens: 30 } },
  models: ["judge-a", "judge-b"]
})

export const ledger: ReadonlyArray<Case> = [
  it(
    "the ledger has the attempt under way",
    Effect.fnUntraced(function* (world) {
      yield* claimNew(world, "a")
      assert.deepEqual(timeless(yield* lastAttempt(world, "a")), {
        taskId: "a",
        number: 1,
        token: 1,
        owner: "worker",
        execution: null,
        verification: null,
        outcome: "running",
        error: null,
        usage: null,
        ended: false
      })
    })
  ),
  it(
    "the ledger has what a completed attempt brought out",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      yield* world.pass(1)
      const verification = Verification.pass({ feedback: "Fine.", confidence: 0.25, issues: ["a", "b"] })
      yield* settle(world, { ...complete(claimed), verification, attemptUsage: usage(8), usage: usage(100) })
      const attempt = yield* lastAttempt(world, "a")
      assert.ok(attempt.endedAt && attempt.endedAt.epochMilliseconds > attempt.startedAt.epochMilliseconds)
      assert.deepEqual(timeless(attempt), {
        taskId: "a",
        number: 1,
        token: 1,
        owner: "worker",
        execution: execution("done"),
        verification,
        outcome: "completed",
        error: null,
        usage: usage(8),
        ended: true
      })
    })
  ),
  ...failures.map(([outcome, end]) =>
    it(
      `the ledger has why an attempt was ${outcome}`,
      Effect.fnUntraced(function* (world) {
        const claimed = yield* claimNew(world, "a")
        const settlement = { ...end(claimed, { feedback: "Too short.", output: "x" }), verification: rejected }
        yield* settle(world, { ...settlement, attemptUsage: usage(8) })
        assert.deepEqual(timeless(yield* lastAttempt(world, "a")), {
          taskId: "a",
          number: 1,
          token: 1,
          owner: "worker",
          execution: execution("x"),
          verification: rejected,
          outcome,
          error: "Too short.",
          usage: usage(8),
          ended: true
        })
      })
    )
  ),
  it(
    "the ledger has why an attempt was released",
    Effect.fnUntraced(function* (world) {
      yield* settle(world, release(yield* claimNew(world, "a"), "The run was paused."))
      const attempt = yield* lastAttempt(world, "a")
      assert.equal(attempt.outcome, "released")
      assert.equal(attempt.error, "The run was paused.")
      assert.equal(attempt.number, 1)
      assert.ok(attempt.endedAt)
    })
  ),
  it(
    "the ledger has every attempt, oldest first, across releases, crashes, cancellations and requeues",
    Effect.fnUntraced(function* (world) {
      yield* settle(world, retry(yield* claimNew(world, "a")))
      yield* settle(world, release(yield* claimOne(world)))
      yield* claimOne(world, { lease: world.seconds(1), owner: "victim" })
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      yield* settle(world, fail(yield* claimOne(world)))
      yield* world.store.requeue({ ids: ids("a") })
      yield* claimOne(world)
      yield* world.store.cancel({ ids: ids("a") })
      yield* world.store.requeue({ ids: ids("a") })
      yield* settle(world, complete(yield* claimOne(world)))
      const attempts = yield* world.store.attempts(id("a"))
      assert.deepEqual(
        attempts.map(({ number, outcome, token }) => [token, number, outcome]),
        [
          [1, 1, "retried"],
          [2, 2, "released"],
          [3, 2, "lease_expired"],
          [4, 3, "failed"],
          [5, 1, "cancelled"],
          [6, 1, "completed"]
        ]
      )
      const [, , crashed, , cancelled] = attempts
      assert.equal(crashed?.owner, "victim")
      for (const unsettled of [crashed, cancelled]) {
        assert.ok(unsettled?.endedAt, "an attempt that nobody settled has an end")
        assert.ok(unsettled.error, "an attempt that nobody settled says why it ended")
      }
    })
  )
]
