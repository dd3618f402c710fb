import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Execution, Executor, Task, TaskStore, TaskStoreDriver, TaskStoreError } from "@baton/core"
import * as MemoryDriver from "../src/internal/memory/driver.ts"
import * as Table from "../src/internal/memory/table.ts"
import { layerOf, make, memoryStore } from "./harness.ts"

/** An executor that notes the most tasks of a key and of all that were executed at the same time. */
const counting = () => {
  const running = new Map<string, number>()
  const most = { ofKey: 0, ofAll: 0 }
  let all = 0
  const change = (key: string, by: 1 | -1) => {
    const count = (running.get(key) ?? 0) + by
    running.set(key, count)
    all += by
    most.ofKey = Math.max(most.ofKey, count)
    most.ofAll = Math.max(most.ofAll, all)
  }
  const executor = Executor.layer(({ concurrencyKey }) =>
    Effect.acquireUseRelease(
      Effect.sync(() => change(concurrencyKey ?? "", 1)),
      () => Effect.as(Effect.yieldNow, Execution.make({ output: "done" })),
      () => Effect.sync(() => change(concurrencyKey ?? "", -1))
    )
  )
  return { executor, most }
}

const keyed = (keys: number, ofEach: number) =>
  Array.from({ length: keys * ofEach }, (_, index) =>
    Task.makeNew({ id: `t${index}`, description: "x", concurrencyKey: `key ${index % keys}` })
  )

describe("concurrency keys", () => {
  it.effect("a run with many workers executes one task of a key at a time", () =>
    Effect.gen(function* () {
      const { executor, most } = counting()
      const { orchestrator, store } = yield* make({ executor, config: { concurrency: 8 } })
      yield* store.add(keyed(3, 20))
      const { stats } = yield* orchestrator.run
      assert.strictEqual(stats.tasksCompleted, 60)
      assert.deepStrictEqual(most, { ofKey: 1, ofAll: 3 })
    })
  )

  it.effect("maxPerKey is the number of tasks of a key at a time", () =>
    Effect.gen(function* () {
      const { executor, most } = counting()
      const { orchestrator, store } = yield* make({ executor, config: { concurrency: 8, maxPerKey: 2 } })
      yield* store.add(keyed(2, 20))
      const { stats } = yield* orchestrator.run
      assert.strictEqual(stats.tasksCompleted, 40)
      assert.deepStrictEqual(most, { ofKey: 2, ofAll: 4 })
    })
  )

  it.effect("two runs on one store execute one task of a key at a time", () =>
    Effect.gen(function* () {
      const { executor, most } = counting()
      const store = layerOf(yield* memoryStore)
      const first = yield* make({ executor, store, config: { concurrency: 2 } })
      const second = yield* make({ executor, store, config: { concurrency: 2 } })
      yield* first.store.add(keyed(2, 20))
      const ended = yield* Effect.all([first.orchestrator.run, second.orchestrator.run], { concurrency: 2 })
      assert.strictEqual(ended[0].stats.tasksCompleted + ended[1].stats.tasksCompleted, 40)
      assert.strictEqual(most.ofKey, 1)
    })
  )

  it.effect("a store without concurrency keys refuses them, and works without", () =>
    Effect.gen(function* () {
      const layer = Layer.effect(
        TaskStore.TaskStore,
        Effect.flatMap(MemoryDriver.make(Table.make()), (driver) =>
          TaskStoreDriver.make({ ...driver, concurrencyKeys: false })
        )
      )
      const { orchestrator, store } = yield* make({ store: layer })
      const error = yield* Effect.flip(store.add(keyed(1, 2)))
      assert.instanceOf(error, TaskStoreError)
      assert.strictEqual(
        error.message,
        'Task "t0" has a concurrency key. The store in memory does not support concurrency keys: leave the key out, or use another store.'
      )
      yield* store.add([Task.makeNew({ id: "plain", description: "x" })])
      assert.strictEqual((yield* orchestrator.run).stats.tasksCompleted, 1)
    })
  )
})
