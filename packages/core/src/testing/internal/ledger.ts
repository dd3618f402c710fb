import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Attempt } from "../../Attempt.ts"
import * as Verification from "../../Verification.ts"
import {
  type Case,
  claim,
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
  task,
  usage
} from "./fixture.ts"

/** A ledger row without its times, which have to be in order. */
const timeless = (attempt: Attempt) => {
  const { endedAt, startedAt, ...rest } = plainAttempt(attempt)
  const ended = typeof endedAt === "string"
  if (ended) assert.ok(startedAt <= endedAt, "an attempt ends after it starts")
  return { ...rest, ended }
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
    "the ledger includes the attempt under way",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a")
      assert.deepEqual(timeless(yield* lastAttempt(fixture, "a")), {
        taskId: "a",
        number: 1,
        token: 1,
        owner: "worker",
        outcome: "running",
        ended: false
      })
    })
  ),
  it(
    "the ledger has the output, verdict and usage of a completed attempt",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* fixture.advance(1)
      const verification = Verification.pass({ feedback: "Fine.", confidence: 0.25, issues: ["a", "b"] })
      yield* settle(fixture, { ...complete(claimed), verification, attemptUsage: usage(8), usage: usage(100) })
      const attempt = yield* lastAttempt(fixture, "a")
      assert.ok(attempt.endedAt && attempt.endedAt.epochMilliseconds > attempt.startedAt.epochMilliseconds)
      assert.deepEqual(timeless(attempt), {
        taskId: "a",
        number: 1,
        token: 1,
        owner: "worker",
        execution: execution("done"),
        verification,
        outcome: "completed",
        usage: usage(8),
        ended: true
      })
    })
  ),
  it(
    "attempts that end together have their own outputs, verdicts and usage",
    Effect.fnUntraced(function* (fixture) {
      const passed = Verification.pass({ feedback: "Fine." })
      const ends = [
        ["a", passed, undefined],
        ["b", passed, undefined],
        ["c", Verification.pass({ feedback: "Very good." }), undefined],
        ["d", undefined, undefined],
        ["e", passed, usage(8)],
        ["f", passed, usage(8)],
        ["g", passed, usage(9)]
      ] as const
      yield* fixture.store.add(ends.map(([name]) => task(name)))
      // Also where all of a batch have the same verdict and usage.
      for (const batch of [ends.slice(0, 2), ends.slice(2, 4), ends.slice(4)]) {
        const claims = yield* claim(fixture, { limit: batch.length })
        const settlements = Array.from(batch.entries(), ([index, [name, verification, attemptUsage]]) => {
          const claimed = claims[index]
          assert.ok(claimed)
          return Object.assign(complete(claimed, `the result of ${name}`), { verification, attemptUsage })
        })
        yield* settle(fixture, ...settlements)
      }
      for (const [name, verification, attemptUsage] of ends) {
        const attempt = yield* lastAttempt(fixture, name)
        assert.deepEqual(attempt.execution, execution(`the result of ${name}`))
        assert.deepEqual(attempt.verification, verification)
        assert.deepEqual(attempt.usage, attemptUsage)
      }
    })
  ),
  ...failures.map(([outcome, end]) =>
    it(
      `the ledger has why an attempt was ${outcome}`,
      Effect.fnUntraced(function* (fixture) {
        const claimed = yield* claimNew(fixture, "a")
        const settlement = { ...end(claimed, { feedback: "Too short.", output: "x" }), verification: rejected }
        yield* settle(fixture, { ...settlement, attemptUsage: usage(8) })
        assert.deepEqual(timeless(yield* lastAttempt(fixture, "a")), {
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
    "the ledger has the reason why an attempt was released",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, release(yield* claimNew(fixture, "a"), "The run was paused."))
      const attempt = yield* lastAttempt(fixture, "a")
      assert.equal(attempt.outcome, "released")
      assert.equal(attempt.error, "The run was paused.")
      assert.equal(attempt.number, 1)
      assert.ok(attempt.endedAt)
    })
  ),
  it(
    "the ledger has every attempt, oldest first, across releases, crashes, cancellations and requeues",
    Effect.fnUntraced(function* (fixture) {
      yield* settle(fixture, retry(yield* claimNew(fixture, "a")))
      yield* settle(fixture, release(yield* claimOne(fixture)))
      yield* claimOne(fixture, { lease: fixture.seconds(1), owner: "victim" })
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      yield* settle(fixture, fail(yield* claimOne(fixture)))
      yield* fixture.store.requeue({ ids: ids("a") })
      yield* claimOne(fixture)
      yield* fixture.store.cancel({ ids: ids("a") })
      yield* fixture.store.requeue({ ids: ids("a") })
      yield* settle(fixture, complete(yield* claimOne(fixture)))
      const attempts = yield* fixture.store.attempts(id("a"))
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
        assert.ok(unsettled?.endedAt, "an attempt without a settlement has an end")
        assert.ok(unsettled.error, "an attempt without a settlement has a reason")
      }
    })
  )
]
