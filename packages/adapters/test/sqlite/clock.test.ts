import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { layerTemporary } from "./temporary.ts"

const noon = Date.UTC(2026, 0, 5, 12)
const hour = 3_600_000

const claimed = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* TestClock.setTime(noon)
  yield* store.add([Task.makeNew({ id: "a", description: "A" })])
  const [claim] = yield* store.claim({ limit: 1, owner: "worker", lease: Duration.seconds(30) })
  assert.ok(claim)
  const sweep = Effect.map(store.sweep({ maxAttempts: 3, onCrash: "retry" }), (swept) => swept.length)
  return { store, lease: { taskId: claim.task.id, token: claim.token }, sweep }
})

describe("a SQLite store whose machine sets its clock back by an hour", () => {
  it.effect("returns the task of a dead worker after a lease", () =>
    Effect.gen(function* () {
      const { sweep } = yield* claimed
      yield* TestClock.setTime(noon - hour)
      assert.strictEqual(yield* sweep, 0)
      yield* TestClock.setTime(noon - hour + 29_000)
      assert.strictEqual(yield* sweep, 0)
      yield* TestClock.setTime(noon - hour + 31_000)
      assert.strictEqual(yield* sweep, 1)
    }).pipe(Effect.provide(layerTemporary))
  )

  it.effect("takes no task from a worker that extends its lease", () =>
    Effect.gen(function* () {
      const { lease, store, sweep } = yield* claimed
      yield* TestClock.setTime(noon - hour)
      for (let seconds = 0; seconds <= 120; seconds += 20) {
        yield* TestClock.setTime(noon - hour + seconds * 1000)
        assert.strictEqual(yield* sweep, 0)
        assert.deepStrictEqual(yield* store.extend([lease], Duration.seconds(30)), { lost: [] })
      }
    }).pipe(Effect.provide(layerTemporary))
  )

  it.effect("does not shorten a lease that is longer than those of other workers", () =>
    Effect.gen(function* () {
      const { lease, store, sweep } = yield* claimed
      assert.deepStrictEqual(yield* store.extend([lease], Duration.hours(3)), { lost: [] })
      yield* TestClock.setTime(noon + 2 * hour)
      assert.strictEqual(yield* sweep, 0)
      yield* TestClock.setTime(noon + 3 * hour + 1000)
      assert.strictEqual(yield* sweep, 1)
    }).pipe(Effect.provide(layerTemporary))
  )
})
