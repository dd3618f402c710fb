import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { isMissing, layerAt, prefix } from "./redis.ts"

describe.skipIf(isMissing)("on a server", () => {
  TaskStoreSuite.suite(it, {
    name: "Redis",
    makePlace: prefix(),
    open: (name) => layerAt({ prefix: name }),
    capabilities: { virtualTime: false, concurrencyKeys: false }
  })
})
