import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { layerTemporary } from "./temporary.ts"

TaskStoreSuite.suite(it, { name: "sqlite", layer: layerTemporary })
