import { TaskStore } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"

TaskStoreSuite.suite(it, { name: "memory", layer: TaskStore.layerMemory })
