import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { layerTemporary } from "./temporary.ts"

TaskStoreSuite.suite(it, { name: "json", layer: layerTemporary() })

TaskStoreSuite.suite(it, { name: "json, without history", layer: layerTemporary({ history: false }) })
