import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Concurrency } from "../../TaskStore.ts"
import { type Case, type Fixture, it } from "./fixture.ts"

const concurrencyOf = ({ store }: Fixture): Concurrency => {
  assert.ok(store.concurrency, "the store passes the concurrency of workers on to them")
  return store.concurrency
}

const settings = (fixture: Fixture) =>
  Effect.map(concurrencyOf(fixture).list, (all) =>
    all.map(({ concurrency, queue, worker }) => [queue, worker, concurrency])
  )

export const concurrency: ReadonlyArray<Case> = [
  it(
    "the concurrency of the workers of a queue can be set, for all of them and for one",
    Effect.fnUntraced(function* (fixture) {
      const { set } = concurrencyOf(fixture)
      assert.deepEqual(yield* settings(fixture), [])
      yield* set({ queue: "a", concurrency: 8 })
      yield* set({ queue: "a", worker: 'wörker "1"', concurrency: 2 })
      yield* set({ queue: "b", concurrency: 3 })
      assert.deepEqual(yield* settings(fixture), [
        ["a", undefined, 8],
        ["a", 'wörker "1"', 2],
        ["b", undefined, 3]
      ])
      yield* set({ queue: "a", concurrency: 4 })
      assert.deepEqual(yield* settings(fixture), [
        ["b", undefined, 3],
        ["a", undefined, 4]
      ])
      yield* set({ queue: "a" })
      assert.deepEqual(yield* settings(fixture), [["b", undefined, 3]])
    }),
    { inOneSession: true }
  ),
  it(
    "a change of the concurrency wakes those that wait for requests, and is not lost among others",
    Effect.fnUntraced(function* (fixture) {
      const { store } = fixture
      const { set } = concurrencyOf(fixture)
      const { revision } = yield* store.control
      const watcher = yield* Effect.forkChild(store.awaitControl(revision), { startImmediately: true })
      const workers = Array.from({ length: 8 }, (_, index) => `worker-${index}`)
      yield* Effect.forEach(workers, (worker) => set({ queue: "a", worker, concurrency: 2 }), {
        concurrency: "unbounded",
        discard: true
      })
      assert.ok((yield* Fiber.join(watcher)).revision > revision)
      const all = yield* concurrencyOf(fixture).list
      assert.deepEqual(new Set(all.map(({ worker }) => worker)), new Set(workers))
      assert.ok(all.every((setting) => setting.revision >= revision))
    }),
    { inOneSession: true }
  )
]

export const noConcurrency: ReadonlyArray<Case> = [
  it("the store says that it cannot pass on the concurrency of workers", ({ store }) =>
    Effect.sync(() => assert.equal(store.concurrency, undefined)))
]
