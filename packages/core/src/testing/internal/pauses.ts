import * as assert from "node:assert/strict"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { PauseOptions, Pauses } from "../../TaskStore.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimNew,
  claimOne,
  complete,
  type Fixture,
  it,
  leaseOf,
  longLease,
  numbered,
  patient,
  release,
  settle,
  task
} from "./fixture.ts"

const queue = "default"

const pausesOf = ({ store }: Fixture): Pauses => {
  assert.ok(store.pauses, "the store keeps pauses")
  return store.pauses
}

/** A time in seconds of the suite from now. */
const inSeconds = (fixture: Fixture, seconds: number) =>
  Effect.map(DateTime.now, (now) => DateTime.addDuration(now, fixture.seconds(seconds)))

const pause = (fixture: Fixture, options?: Partial<PauseOptions> & { readonly queue?: string }) =>
  pausesOf(fixture).pause(options?.queue ?? queue, {
    cause: "requested",
    reason: "Paused.",
    ...options
  })

/** Pauses the queue for a usage limit that ends after the given number of seconds. */
const limit = (fixture: Fixture, seconds: number) =>
  Effect.flatMap(inSeconds(fixture, seconds), (until) => pause(fixture, { cause: "usage-limit", until }))

const untilOf = ({ until }: Pick<PauseOptions, "until">) => until?.epochMilliseconds

/** Claims nothing, by any number of workers. */
const claimNothing = Effect.fnUntraced(function* (fixture: Fixture) {
  assert.deepEqual(claimedIds(yield* claim(fixture)), [])
})

const workSignal = (fixture: Fixture) =>
  Effect.forkChild(fixture.store.awaitWork({ untilDrained: true }), { startImmediately: true })

export const pauses: ReadonlyArray<Case> = [
  it(
    "a queue is paused until it is resumed",
    Effect.fnUntraced(function* (fixture) {
      const { list, resume } = pausesOf(fixture)
      assert.deepEqual(yield* list, [])
      yield* fixture.store.add([task("a"), task("b", { queue: "other" })])
      const paused = yield* pause(fixture, { reason: "Until\u0000 \ud800 tomorrow: 'x'" })
      const { revision } = yield* fixture.store.control
      assert.deepEqual(paused, {
        queue,
        cause: "requested",
        until: undefined,
        probeUntil: undefined,
        reason: "Until\u0000 \ud800 tomorrow: 'x'",
        revision
      })
      assert.deepEqual(yield* list, [paused])
      yield* claimNothing(fixture)
      const others = yield* fixture.store.claim({ queues: [queue, "other"], limit: 5, owner: "w", lease: longLease })
      assert.deepEqual(claimedIds(others), ["b"])
      assert.equal(yield* resume(queue), true)
      assert.equal(yield* resume(queue), false)
      assert.deepEqual(yield* list, [])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "pauses are listed by the name of their queue, also without tasks",
    Effect.fnUntraced(function* (fixture) {
      yield* pause(fixture, { queue: "b" })
      yield* pause(fixture, { queue: "a", until: yield* inSeconds(fixture, 1000), cause: "usage-limit" })
      const listed = yield* pausesOf(fixture).list
      assert.deepEqual(
        listed.map(({ cause, queue }) => [queue, cause]),
        [
          ["a", "usage-limit"],
          ["b", "requested"]
        ]
      )
    })
  ),
  it(
    "pausing and resuming are changes that runs see",
    Effect.fnUntraced(function* (fixture) {
      const { revision } = yield* fixture.store.control
      const watcher = yield* Effect.forkChild(fixture.store.awaitControl(revision), { startImmediately: true })
      const paused = yield* pause(fixture)
      assert.ok((yield* Fiber.join(watcher)).revision > revision)
      yield* pausesOf(fixture).resume(queue)
      assert.ok((yield* fixture.store.control).revision > paused.revision)
    }),
    { inOneSession: true }
  ),
  it(
    "a pause with a time ends by itself",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b")])
      yield* pause(fixture, { until: yield* inSeconds(fixture, 3) })
      yield* claimNothing(fixture)
      yield* fixture.advance(4)
      assert.deepEqual(yield* pausesOf(fixture).list, [])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a", "b"])
    })
  ),
  it(
    "running tasks of a paused queue keep their leases and are settled",
    Effect.fnUntraced(function* (fixture) {
      const a = yield* claimNew(fixture, "a")
      yield* pause(fixture)
      assert.deepEqual((yield* fixture.store.extend([leaseOf(a)], longLease)).lost, [])
      yield* settle(fixture, complete(a))
      assert.equal((yield* fixture.store.counts).completed, 1)
    })
  ),
  it(
    "after a usage limit one task goes first, and the others follow when it was not refused",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(4))
      const { revision } = yield* limit(fixture, 2)
      yield* claimNothing(fixture)
      yield* fixture.advance(3)
      const [probe, ...more] = yield* claim(fixture)
      assert.equal(probe?.task.id, "task-0")
      assert.equal(probe?.probes, revision)
      assert.deepEqual(more, [])
      yield* claimNothing(fixture)
      const [listed] = yield* pausesOf(fixture).list
      assert.equal(listed?.revision, revision, "the pause lasts until the probe has an answer")
      assert.notEqual(listed?.probeUntil, undefined)
      yield* settle(fixture, complete(probe ?? assert.fail("there is a probe")))
      yield* claimNothing(fixture)
      assert.equal(yield* pausesOf(fixture).resume(queue, { revision }), true)
      const rest = yield* claim(fixture)
      assert.deepEqual(claimedIds(rest), ["task-1", "task-2", "task-3"])
      assert.deepEqual(
        rest.map(({ probes }) => probes),
        [undefined, undefined, undefined]
      )
    })
  ),
  it(
    "of many workers that claim when a usage limit ends, one gets a task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(20))
      yield* limit(fixture, 1)
      yield* fixture.advance(2)
      const claims = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, index) => `worker-${index}`),
        (owner) => claim(fixture, { owner, limit: 3 }),
        { concurrency: "unbounded" }
      )
      assert.equal(claims.flat().length, 1)
    })
  ),
  it(
    "a queue without claimable tasks starts no probe",
    Effect.fnUntraced(function* (fixture) {
      yield* limit(fixture, 1)
      yield* fixture.advance(2)
      yield* claimNothing(fixture)
      yield* fixture.store.add([task("a"), task("b")])
      assert.deepEqual(claimedIds(yield* claim(fixture)), ["a"])
    })
  ),
  it(
    "when a probe gives no answer for the length of its lease, another one goes",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(3))
      yield* limit(fixture, 1)
      yield* fixture.advance(2)
      const lease = fixture.seconds(4)
      assert.deepEqual(claimedIds(yield* claim(fixture, { lease })), ["task-0"])
      yield* fixture.advance(2)
      yield* claimNothing(fixture)
      yield* fixture.advance(3)
      assert.deepEqual(claimedIds(yield* claim(fixture, { lease })), ["task-1"])
    })
  ),
  it(
    "a probe that is refused pauses the queue again, and a late answer to an earlier probe does not resume it",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(numbered(2))
      const first = yield* limit(fixture, 1)
      yield* fixture.advance(2)
      const probe = yield* claimOne(fixture)
      const second = yield* limit(fixture, 3)
      assert.ok(second.revision > first.revision)
      assert.equal(second.probeUntil, undefined)
      yield* settle(fixture, release(probe))
      assert.equal(yield* pausesOf(fixture).resume(queue, { revision: first.revision }), false)
      yield* claimNothing(fixture)
      yield* fixture.advance(4)
      const again = yield* claimOne(fixture)
      assert.equal(again.probes, second.revision)
      assert.equal(again.task.attempts, 1, "the refused attempt does not count")
    })
  ),
  it(
    "a usage limit ends at the latest time that was reported",
    Effect.fnUntraced(function* (fixture) {
      const late = yield* limit(fixture, 900)
      const again = yield* limit(fixture, 300)
      assert.equal(untilOf(again), untilOf(late))
      assert.ok(again.revision > late.revision)
      const latest = yield* limit(fixture, 2000)
      assert.ok((untilOf(latest) ?? 0) > (untilOf(late) ?? 0))
    })
  ),
  it(
    "a pause that was requested stays when a usage limit is shorter, and takes the place of one that is longer",
    Effect.fnUntraced(function* (fixture) {
      const requested = yield* pause(fixture)
      const kept = yield* limit(fixture, 900)
      assert.deepEqual({ ...kept, revision: 0 }, { ...requested, revision: 0 })
      const until = yield* inSeconds(fixture, 100)
      assert.equal(untilOf(yield* pause(fixture, { until })), until.epochMilliseconds)
      assert.equal((yield* limit(fixture, 900)).cause, "usage-limit")
      assert.equal((yield* pause(fixture)).cause, "requested")
    })
  ),
  it(
    "awaitWork waits for the end of a pause, and calls a paused queue not drained",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      yield* limit(fixture, 4)
      const worker = yield* workSignal(fixture)
      yield* fixture.advance(2)
      assert.equal(worker.pollUnsafe(), undefined, "it still waits")
      yield* fixture.advance(3)
      assert.equal(yield* Fiber.join(worker), "claimable")
    }),
    { inOneSession: true }
  ),
  it(
    "awaitWork returns when a queue is resumed",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a")])
      yield* pause(fixture)
      const worker = yield* workSignal(fixture)
      yield* fixture.advance(1)
      assert.equal(worker.pollUnsafe(), undefined, "it still waits")
      yield* pausesOf(fixture).resume(queue)
      assert.equal(yield* Fiber.join(worker), "claimable")
    }),
    { inOneSession: true }
  ),
  it(
    "leases of a paused queue expire, and its tasks are swept",
    Effect.fnUntraced(function* (fixture) {
      yield* claimNew(fixture, "a", fixture.seconds(2))
      yield* pause(fixture)
      const worker = yield* workSignal(fixture)
      yield* fixture.advance(3)
      assert.equal(yield* Fiber.join(worker), "claimable")
      assert.deepEqual(
        (yield* fixture.store.sweep(patient)).map(({ taskId }) => taskId),
        ["a"]
      )
      yield* claimNothing(fixture)
    }),
    { inOneSession: true }
  )
]

/** For a store that supports concurrency keys too. */
export const pausesWithKeys: ReadonlyArray<Case> = [
  it(
    "tasks with a concurrency key are paused, and go first as a probe, like the others",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a", { concurrencyKey: "x" }), task("b", { concurrencyKey: "y" }), task("c")])
      yield* fixture.store.settle([release(yield* claimOne(fixture))])
      const { revision } = yield* limit(fixture, 2)
      yield* claimNothing(fixture)
      const worker = yield* workSignal(fixture)
      yield* fixture.advance(1)
      assert.equal(worker.pollUnsafe(), undefined, "it still waits")
      yield* fixture.advance(2)
      assert.equal(yield* Fiber.join(worker), "claimable")
      const [probe, ...more] = yield* claim(fixture)
      assert.equal(probe?.probes, revision)
      assert.deepEqual(more, [])
      yield* claimNothing(fixture)
      yield* pausesOf(fixture).resume(queue, { revision })
      assert.equal((yield* claim(fixture)).length, 2)
    }),
    { inOneSession: true }
  )
]

/** For a store without pauses. */
export const noPauses: ReadonlyArray<Case> = [
  it("the store says that it keeps no pauses", ({ store }) => Effect.sync(() => assert.equal(store.pauses, undefined)))
]
