import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { isMissing, layer } from "./redis.ts"

describe.skipIf(isMissing)("on a server", () => {
  TaskStoreSuite.suite(it, { name: "Redis", layer: layer(), capabilities: { virtualTime: false } })
})
