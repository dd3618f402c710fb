import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Case, claimNew, ids, it } from "./fixture.ts"

export const control: ReadonlyArray<Case> = [
  it(
    "a new store has no requests",
    Effect.fnUntraced(function* ({ store }) {
      const { paused, stops } = yield* store.control
      assert.deepEqual({ paused, stops }, { paused: false, stops: 0 })
    }),
    { inOneSession: true }
  ),
  it(
    "a pause lasts until it is resumed",
    Effect.fnUntraced(function* ({ store }) {
      const before = yield* store.control
      const paused = yield* store.request("pause")
      assert.equal(paused.paused, true)
      assert.ok(paused.revision > before.revision)
      assert.deepEqual({ ...(yield* store.control) }, { ...paused })
      const resumed = yield* store.request("resume")
      assert.equal(resumed.paused, false)
      assert.ok(resumed.revision > paused.revision)
    }),
    { inOneSession: true }
  ),
  it(
    "stop requests are counted",
    Effect.fnUntraced(function* ({ store }) {
      const { stops } = yield* store.control
      assert.equal((yield* store.request("stop")).stops, stops + 1)
      assert.equal((yield* store.request("stop")).stops, stops + 2)
      assert.equal((yield* store.request("pause")).stops, stops + 2)
    }),
    { inOneSession: true }
  ),
  it(
    "awaitControl returns at once when the revision has already changed",
    Effect.fnUntraced(function* ({ store }) {
      const { revision } = yield* store.control
      yield* store.request("pause")
      assert.equal((yield* store.awaitControl(revision)).paused, true)
    }),
    { inOneSession: true }
  ),
  it(
    "awaitControl returns on the next request",
    Effect.fnUntraced(function* ({ advance, store }) {
      const { revision } = yield* store.control
      const watcher = yield* Effect.forkChild(store.awaitControl(revision), { startImmediately: true })
      yield* advance(1)
      assert.equal(watcher.pollUnsafe(), undefined, "it still waits")
      yield* store.request("stop")
      assert.equal((yield* Fiber.join(watcher)).stops, 1)
    }),
    { inOneSession: true }
  ),
  it(
    "awaitControl returns when a running task is cancelled",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a")
      const { revision } = yield* fixture.store.control
      const watcher = yield* Effect.forkChild(fixture.store.awaitControl(revision), { startImmediately: true })
      yield* fixture.store.cancel({ ids: ids("a") })
      assert.ok((yield* Fiber.join(watcher)).revision > revision)
    }),
    { inOneSession: true }
  )
]
