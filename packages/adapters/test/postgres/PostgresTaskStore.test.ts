import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { isMissing, schema, url } from "./postgres.ts"

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(isMissing)("on a server", { concurrent: true }, () => {
  TaskStoreSuite.suite(it, {
    name: "PostgreSQL",
    makePlace: schema(),
    open: (name) => PostgresTaskStore.layer({ url, schema: name, maxConnections: 2 }),
    capabilities: { virtualTime: false }
  })
})
