import { TaskStoreSuite } from "@baton/core/testing"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { describe } from "vitest"
import { isMissing, schema, url } from "./postgres.ts"
import * as Pooler from "./pooler.ts"
import { PostgresTaskStore } from "@baton/adapters/postgres"

const layer = Layer.unwrap(
  Effect.gen(function* () {
    const pooler = yield* Pooler.make(url)
    yield* Effect.addFinalizer(() => Effect.sync(() => assert.deepEqual(pooler.complaints, [])))
    return PostgresTaskStore.layer({ url: pooler.url, schema: yield* schema(), listen: false })
  })
)

describe.skipIf(isMissing)("through a pooler that lends sessions for a transaction", () => {
  TaskStoreSuite.suite(it, { name: "PostgreSQL behind a pooler", layer, capabilities: { virtualTime: false } })
})
