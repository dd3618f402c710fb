import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Execution } from "../../Execution.ts"
import type { Claim } from "../../TaskStore.ts"
import {
  type Case,
  claimNew,
  claimOne,
  execution,
  find,
  ids,
  it,
  lastAttempt,
  leaseOf,
  outcomes,
  patient,
  release,
  settle,
  usage,
  type Fixture
} from "./fixture.ts"

const checkpointed = Effect.fnUntraced(function* ({ store }: Fixture, claimed: Claim, output: Execution) {
  const { lost } = yield* store.checkpoint([{ ...leaseOf(claimed), execution: output, usage: usage(7) }])
  assert.deepEqual(lost, [])
})

export const checkpoints: ReadonlyArray<Case> = [
  it(
    "a checkpoint is returned by the next claim after a crash, and by the one after that",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* checkpointed(fixture, claimed, execution("paid for"))
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      const second = yield* claimOne(fixture, { lease: fixture.seconds(1) })
      assert.deepEqual(second.checkpoint, execution("paid for"))
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      assert.deepEqual((yield* claimOne(fixture)).checkpoint, execution("paid for"))
    })
  ),
  it(
    "a checkpoint survives a release, and a cancellation followed by a requeue",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* checkpointed(fixture, claimed, execution("paid for"))
      yield* settle(fixture, release(claimed))
      assert.deepEqual((yield* claimOne(fixture)).checkpoint, execution("paid for"))
      yield* fixture.store.cancel({ ids: ids("a") })
      yield* fixture.store.requeue({ ids: ids("a") })
      assert.deepEqual((yield* claimOne(fixture)).checkpoint, execution("paid for"))
    })
  ),
  it(
    "a later checkpoint replaces an earlier one",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* checkpointed(fixture, claimed, execution("first"))
      yield* checkpointed(fixture, claimed, execution("second"))
      yield* settle(fixture, release(claimed))
      assert.equal((yield* claimOne(fixture)).checkpoint?.output, "second")
    })
  ),
  it(
    "a checkpoint records usage, and leaves the task in progress",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a")
      yield* checkpointed(fixture, claimed, execution("paid for"))
      const running = yield* find(fixture, "a")
      assert.equal(running.status, "in_progress")
      assert.equal(running.result, undefined)
      assert.deepEqual(running.usage, usage(7))
    })
  ),
  it(
    "the ledger keeps the checkpoint of a crashed attempt",
    Effect.fnUntraced(function* (fixture) {
      const claimed = yield* claimNew(fixture, "a", fixture.seconds(1))
      yield* checkpointed(fixture, claimed, execution("paid for"))
      yield* fixture.advance(2)
      yield* fixture.store.sweep(patient)
      const attempt = yield* lastAttempt(fixture, "a")
      assert.equal(attempt.outcome, "lease_expired")
      assert.deepEqual(attempt.execution, execution("paid for"))
      assert.deepEqual(attempt.usage, usage(7))
      assert.deepEqual(yield* outcomes(fixture, "a"), ["lease_expired"])
    })
  )
]
