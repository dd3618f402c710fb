import { TaskStoreSuite } from "@baton/core/testing"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { describe } from "vitest"
import { placeOf } from "../../src/postgres/internal/connection.ts"
import * as Errors from "../../src/postgres/internal/errors.ts"
import { client, isMissing, reusedSchemas, schema, statementTimeout, url } from "./postgres.ts"
import * as Pooler from "./pooler.ts"
import { PostgresTaskStore } from "@baton/adapters/postgres"

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(isMissing)("through a pooler in transaction mode", { concurrent: true }, () => {
  it.live("a store without listen=false is refused, with advice to add it", () =>
    Effect.gen(function* () {
      const pooler = yield* Pooler.make(url)
      const name = yield* schema()
      const error = yield* Effect.flip(PostgresTaskStore.make({ url: pooler.url, schema: name }))
      assert.match(error.message, /unsupported startup parameter: .*\): if it is a pooler, add listen=false to the/)
      const store = yield* PostgresTaskStore.make({ url: `${pooler.url}?listen=false&schema=${name}` })
      assert.equal((yield* store.counts).pending, 0)
    })
  )

  it.live("an unknown prepared statement is reported as a problem of the pooler", () =>
    Effect.gen(function* () {
      const sql = yield* client()
      const place = placeOf(sql.config)
      // The error of a statement that is prepared in one session and run in another.
      const error = yield* Effect.flip(sql.unsafe("EXECUTE prepared_elsewhere").unprepared)
      const { message, reason } = Errors.fromDriver(place, error)
      assert.equal(reason, "Unusable")
      assert.match(
        message,
        /mixes up the statements of its sessions \(.*\), as a pooler in transaction mode does: add listen=false to the/
      )
    })
  )

  const schemas = reusedSchemas()
  const makePlace = Effect.gen(function* () {
    const { schema, url } = yield* schemas
    const pooler = yield* Pooler.make(url, schema)
    yield* Effect.addFinalizer(() => Effect.sync(() => assert.deepEqual(pooler.complaints, [])))
    return { url: pooler.url, schema }
  })
  // Every sixth case: all statements occur in them, and the complete suite runs without a pooler.
  const cases = TaskStoreSuite.cases({
    name: "PostgreSQL behind a pooler",
    makePlace,
    open: (place) => PostgresTaskStore.layer({ ...place, listen: false, maxConnections: 2, statementTimeout }),
    capabilities: { virtualTime: false }
  }).filter((_, index) => index % 6 === 0)
  for (const { group, name, run } of cases) it.live(`${group}: ${name}`, () => run)
})
