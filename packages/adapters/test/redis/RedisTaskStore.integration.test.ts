import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { layerOn, url } from "./temporary.ts"

TaskStoreSuite.suite(it, { name: "redis", layer: layerOn(url), capabilities: { virtualTime: false } })
