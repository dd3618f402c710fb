import { TaskStore } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { soak } from "./soak.ts"

TaskStoreSuite.suite(it, {
  name: "memory",
  makePlace: Effect.void,
  open: () => TaskStore.layerMemory,
  capabilities: { places: "once" },
  sequences: soak * 25
})

it.effect("a cursor that is not one of the store's is refused", () =>
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const error = yield* Effect.flip(store.list({ cursor: "page two" }))
    assert.strictEqual(error.reason, "Unusable")
  }).pipe(Effect.provide(TaskStore.layerMemory))
)
