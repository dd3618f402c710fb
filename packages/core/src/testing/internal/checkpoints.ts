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
  type World
} from "./world.ts"

const checkpointed = Effect.fnUntraced(function* ({ store }: World, claimed: Claim, output: Execution) {
  const { lost } = yield* store.checkpoint([{ ...leaseOf(claimed), execution: output, usage: usage(7) }])
  assert.deepEqual(lost, [])
})

export const checkpoints: ReadonlyArray<Case> = [
  it(
    "a checkpoint comes back with the next claim after a crash, and again after the next",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a", world.seconds(1))
      yield* checkpointed(world, claimed, execution("paid for"))
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      const second = yield* claimOne(world, { lease: world.seconds(1) })
      assert.deepEqual(second.checkpoint, execution("paid for"))
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      assert.deepEqual((yield* claimOne(world)).checkpoint, execution("paid for"))
    })
  ),
  it(
    "a checkpoint stays when the task is released, and when it is cancelled and requeued",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      yield* checkpointed(world, claimed, execution("paid for"))
      yield* settle(world, release(claimed))
      assert.deepEqual((yield* claimOne(world)).checkpoint, execution("paid for"))
      yield* world.store.cancel({ ids: ids("a") })
      yield* world.store.requeue({ ids: ids("a") })
      assert.deepEqual((yield* claimOne(world)).checkpoint, execution("paid for"))
    })
  ),
  it(
    "a later checkpoint replaces an earlier one",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      yield* checkpointed(world, claimed, execution("first"))
      yield* checkpointed(world, claimed, execution("second"))
      yield* settle(world, release(claimed))
      assert.equal((yield* claimOne(world)).checkpoint?.output, "second")
    })
  ),
  it(
    "a checkpoint counts what was used, and leaves the task in progress",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a")
      yield* checkpointed(world, claimed, execution("paid for"))
      const running = yield* find(world, "a")
      assert.equal(running.status, "in_progress")
      assert.equal(running.result, null)
      assert.deepEqual(running.usage, usage(7))
    })
  ),
  it(
    "the ledger keeps what a crashed attempt had saved",
    Effect.fnUntraced(function* (world) {
      const claimed = yield* claimNew(world, "a", world.seconds(1))
      yield* checkpointed(world, claimed, execution("paid for"))
      yield* world.pass(2)
      yield* world.store.sweep(patient)
      const attempt = yield* lastAttempt(world, "a")
      assert.equal(attempt.outcome, "lease_expired")
      assert.deepEqual(attempt.execution, execution("paid for"))
      assert.deepEqual(attempt.usage, usage(7))
      assert.deepEqual(yield* outcomes(world, "a"), ["lease_expired"])
    })
  )
]
