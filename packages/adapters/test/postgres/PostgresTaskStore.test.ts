import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { isMissing, layer } from "./postgres.ts"

describe.skipIf(isMissing)("on a server", () => {
  TaskStoreSuite.suite(it, { name: "PostgreSQL", layer: layer(), capabilities: { virtualTime: false } })
})
