import { Execution, Executor, Orchestrator, OrchestratorBuilder, Task, TaskStore } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { KeyValueStore } from "effect/persistence"
import * as KeyValueTaskStore from "../custom-store/KeyValueTaskStore.ts"

// All that a store of one's own needs to be held against the contract.
TaskStoreSuite.suite(it, {
  name: "key-value",
  makePlace: Layer.build(Layer.fresh(KeyValueStore.layerMemory)),
  open: (keys) => Layer.provide(Layer.fresh(KeyValueTaskStore.layer), Layer.succeedContext(keys)),
  capabilities: { places: "exclusive" }
})

it.effect("a later run goes on where an earlier one stopped", () =>
  Effect.gen(function* () {
    const keys = yield* Layer.build(KeyValueStore.layerMemory)
    const run = (ids: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const store = yield* TaskStore.TaskStore
        yield* store.add(ids.map((id) => Task.make({ id, description: `do ${id}` })))
        const orchestrator = yield* Orchestrator.Orchestrator
        return yield* orchestrator.run
      }).pipe(
        Effect.provide(
          OrchestratorBuilder.make()
            .withTaskStore(Layer.fresh(KeyValueTaskStore.layer))
            .withExecutor(Executor.layer(({ id }) => Effect.succeed(Execution.make({ output: `did ${id}` }))))
            .build()
        ),
        Effect.provide(keys)
      )
    yield* run(["a", "b"])
    const second = yield* run(["a", "b", "c"])
    assert.strictEqual(second.stats.executions, 1)
    assert.strictEqual(second.counts.completed, 3)
  })
)
