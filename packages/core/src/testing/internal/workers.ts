import * as assert from "node:assert/strict"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  type Case,
  claim,
  claimOne,
  complete,
  fail,
  type Fixture,
  ids,
  it,
  lastAttempt,
  leaseOf,
  longLease,
  numbered,
  patient,
  release,
  settle,
  task
} from "./fixture.ts"

/** The workers, each as `queue name running claimed`, and `lost` if it is. */
const workersOf = ({ store }: Fixture) =>
  Effect.map(store.workers, (workers) =>
    workers.map(({ claimed, isLost, name, queue, running }) =>
      [queue, name, running, claimed, ...(isLost ? ["lost"] : [])].join(" ")
    )
  )

const claimFrom = (
  { store }: Fixture,
  queue: string,
  owner: string,
  options: { readonly limit: number; readonly lease?: Duration.Duration }
) => store.claim({ queues: [queue], owner, lease: longLease, ...options })

export const workers: ReadonlyArray<Case> = [
  it(
    "the workers of each queue are counted by their tasks in progress, however many these are",
    Effect.fnUntraced(function* (fixture) {
      assert.deepEqual(yield* workersOf(fixture), [])
      yield* fixture.store.add([
        ...numbered(250),
        ...["a", "b", "c"].map((name) => task(name, { queue: "letters" })),
        task("idle", { queue: "nobody" })
      ])
      yield* claimFrom(fixture, "default", "host-2", { limit: 180 })
      yield* claimFrom(fixture, "default", "host-1", { limit: 30 })
      yield* claimFrom(fixture, "letters", "host-1", { limit: 1 })
      yield* claimFrom(fixture, "letters", "host-3", { limit: 5 })
      assert.deepEqual(yield* workersOf(fixture), [
        "default host-1 30 0",
        "default host-2 180 0",
        "letters host-1 1 0",
        "letters host-3 2 0"
      ])
    })
  ),
  it(
    "a worker is known as long as it has a task in progress, and since the start of the first of them",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(["a", "b", "c", "d"].map((name) => task(name)))
      const first = yield* claimOne(fixture, { owner: "host" })
      yield* fixture.advance(2)
      const [second, third, fourth] = yield* claim(fixture, { owner: "host" })
      assert.ok(second && third && fourth)
      const since = Effect.map(fixture.store.workers, ([worker]) => worker?.since)
      assert.deepEqual(yield* since, (yield* lastAttempt(fixture, first.task.id)).startedAt)
      yield* settle(fixture, complete(first))
      assert.deepEqual(yield* workersOf(fixture), ["default host 3 0"])
      assert.deepEqual(yield* since, (yield* lastAttempt(fixture, second.task.id)).startedAt)
      yield* settle(fixture, release(second), fail(third))
      assert.deepEqual(yield* workersOf(fixture), ["default host 1 0"])
      yield* fixture.store.cancel({ ids: ids(fourth.task.id) })
      assert.deepEqual(yield* workersOf(fixture), [])
    })
  ),
  it(
    "a worker is lost once all of its leases have expired, unless it extends one, and gone after a sweep",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("a"), task("b"), task("c")])
      const [first] = yield* claim(fixture, { owner: "frozen", limit: 2, lease: fixture.seconds(2) })
      assert.ok(first)
      yield* claim(fixture, { owner: "steady", limit: 1 })
      assert.deepEqual(yield* workersOf(fixture), ["default frozen 2 0", "default steady 1 0"])
      yield* fixture.advance(3)
      assert.deepEqual(yield* workersOf(fixture), ["default frozen 2 0 lost", "default steady 1 0"])
      yield* fixture.store.extend([leaseOf(first)], longLease)
      assert.deepEqual(yield* workersOf(fixture), ["default frozen 2 0", "default steady 1 0"])
      yield* fixture.store.sweep(patient)
      assert.deepEqual(yield* workersOf(fixture), ["default frozen 1 0", "default steady 1 0"])
    })
  ),
  it(
    "workers with unusual names are kept apart",
    Effect.fnUntraced(function* (fixture) {
      const names = ["A", "a", "a ", "a b:1", "ä", "it's", "half of a pair: \ud83d", "nothing: \u0000"]
      yield* fixture.store.add(numbered(names.length))
      for (const owner of names) yield* claimOne(fixture, { owner })
      const found = (yield* fixture.store.workers).map(({ name }) => name)
      assert.deepEqual(found.toSorted(), names.toSorted())
    })
  )
]
