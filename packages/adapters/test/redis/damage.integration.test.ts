import { Executor, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger } from "effect"
import { describe } from "vitest"
import { client, isMissing, layerAt, open, prefix } from "./redis.ts"

/** Runs ten tasks, of which one is claimed by a dead worker, after a damage to their keys; returns the ids that failed. */
const failedAfter = Effect.fnUntraced(function* (key: string, id: string, value: string | null) {
  const name = yield* prefix()
  const redis = yield* client()
  const filling = yield* open({ prefix: name })
  yield* filling.add(
    Array.from({ length: 10 }, (_, index) =>
      Task.makeNew({ id: `task-${index}`, description: "Do it.", payload: { page: index }, concurrencyKey: "key" })
    )
  )
  yield* filling.claim({ limit: 1, owner: "dead", lease: Duration.millis(1) })
  const field = `{${name}}:${key}`
  yield* Effect.promise(() => (value === null ? redis.hDel(field, id) : redis.hSet(field, id, value)))
  return yield* Effect.gen(function* () {
    const { reason } = yield* (yield* Orchestrator.Orchestrator).run
    assert.strictEqual(reason._tag, "Drained")
    const store = yield* TaskStore.TaskStore
    const { tasks } = yield* store.list()
    assert.lengthOf(tasks, 10)
    assert.deepStrictEqual(
      { ...(yield* store.counts) },
      { pending: 0, in_progress: 0, in_review: 0, completed: 9, failed: 1, cancelled: 0, waiting: 0 }
    )
    return tasks.flatMap((task) => (task.status === "failed" ? task.id : []))
  }).pipe(
    Effect.provide(
      Orchestrator.layer({ leaseDuration: "500 millis", concurrency: 4 }).pipe(
        Layer.provideMerge(layerAt({ prefix: name })),
        Layer.provide([Executor.layerFake(), Verifier.layerAlwaysPass, Safety.layerAllowAll, Logger.layer([])])
      )
    )
  )
})

describe.skipIf(isMissing)("a run on a damaged store in Redis fails one task, and ends", () => {
  for (const [damage, key, id, value] of [
    ["the line of a task is damaged", "tasks", "task-4", "\u0001"],
    ["the line of a task is gone", "tasks", "task-4", null],
    ["the inputs of a task are gone", "inputs", "task-4", null],
    ["a payload is not JSON", "inputs", "task-4", "\n\n\n{\nDo it."],
    ["the line of a running task is damaged", "tasks", "task-0", "\u0001"],
    ["the attempt of a running task is none", "running", "task-0", "\u0001"]
  ] as const) {
    it.live(`when ${damage}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual<ReadonlyArray<string>>(yield* failedAfter(key, id, value), [id])
      })
    )
  }
})
