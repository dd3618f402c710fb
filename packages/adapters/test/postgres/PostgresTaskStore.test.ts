import { TaskStoreSuite } from "@baton/core/testing"
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { isMissing, reusedSchemas, statementTimeout } from "./postgres.ts"
import { soak } from "../../../core/test/soak.ts"

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(isMissing)("on a server", { concurrent: true }, () => {
  TaskStoreSuite.suite(it, {
    name: "PostgreSQL",
    makePlace: reusedSchemas(),
    open: ({ schema, url }) =>
      PostgresTaskStore.layer({ url, schema, applicationName: schema, maxConnections: 2, statementTimeout }),
    capabilities: { virtualTime: false },
    sequences: soak * 6
  })
})
