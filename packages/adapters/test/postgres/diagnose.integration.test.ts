import { PostgresTaskStore } from "@baton/adapters/postgres"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { of, summary } from "../diagnoses.ts"
import * as Postgres from "../servers/postgres.ts"
import { client, isMissing, open, schema, url } from "./postgres.ts"
import * as Pooler from "./pooler.ts"

describe.skipIf(isMissing)("the diagnosis of a PostgreSQL store", () => {
  it.live("finds no problem with a store, and creates none", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      const found = yield* PostgresTaskStore.diagnose({ url, schema: name })
      assert.deepStrictEqual(
        summary(found).filter((line) => !line.startsWith("fsync")),
        ["server ok", "version ok", "synchronous_commit ok", "clock ok", "notifications ok", "store ok"]
      )
      assert.match(of(found, "store").message, /^Schema ".*" has no store yet, and user ".*" may create it\.$/)
      assert.deepStrictEqual(yield* sql.unsafe(`SELECT FROM pg_namespace WHERE nspname = '${name}'`), [])
      yield* Effect.scoped(open({ schema: name }))
      assert.match(of(yield* PostgresTaskStore.diagnose({ url, schema: name }), "store").message, /\(schema \d+\)\.$/)
      yield* sql.unsafe(`INSERT INTO "${name}".baton_migrations VALUES (999, 'later', now())`)
      const newer = of(yield* PostgresTaskStore.diagnose({ url, schema: name }), "store")
      assert.deepStrictEqual([newer.status, newer.fix], ["fail", "Update Baton."])
    })
  )

  it.live("reports a schema with foreign tables", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      yield* sql.unsafe(`CREATE SCHEMA "${name}"`)
      yield* sql.unsafe(`CREATE TABLE "${name}".theirs (x integer)`)
      const { message, status } = of(yield* PostgresTaskStore.diagnose({ url, schema: name }), "store")
      assert.strictEqual(status, "fail")
      assert.match(message, /holds tables that do not belong to Baton\.$/)
    })
  )

  it.live("reports a pooler in transaction mode", () =>
    Effect.gen(function* () {
      const pooler = yield* Pooler.make(url)
      const found = yield* PostgresTaskStore.diagnose({ url: pooler.url })
      const server = of(found, "server")
      assert.strictEqual(server.status, "fail")
      assert.match(server.fix ?? "", /listen=false/)
      const polling = yield* PostgresTaskStore.diagnose({ url: pooler.url, listen: false, schema: yield* schema() })
      assert.strictEqual(of(polling, "notifications").status, "ok")
      assert.strictEqual(of(polling, "store").status, "ok")
    })
  )

  it.live("reports an invalid URL, and a server that does not run", () =>
    Effect.gen(function* () {
      for (const [to, expected] of [
        ["http://secret@nowhere", /^Not a PostgreSQL URL\.$/],
        ["postgres://me:secret@127.0.0.1:1/work", /^PostgreSQL at 127\.0\.0\.1:1 does not accept connections\.$/]
      ] as const) {
        const { message, status } = of(yield* PostgresTaskStore.diagnose({ url: to }), "server")
        assert.strictEqual(status, "fail")
        assert.match(message, expected)
      }
    })
  )
})

describe.skipIf(!Postgres.isInstalled())("the diagnosis of a PostgreSQL server", () => {
  it.live("warns about settings that can lose reported results, and about missing rights", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary({ synchronous_commit: "off", fsync: "off" })
      const sql = yield* client(server.url)
      const found = yield* PostgresTaskStore.diagnose({ url: server.url })
      assert.strictEqual(of(found, "fsync").status, "warn")
      assert.strictEqual(of(found, "synchronous_commit").status, "warn")
      yield* sql.unsafe("CREATE ROLE poor LOGIN")
      const poor = server.url.replace("postgres@", "poor@")
      const rights = Effect.map(PostgresTaskStore.diagnose({ url: poor }), (found) => of(found, "rights"))
      assert.match((yield* rights).fix ?? "", /^Ask its owner to run GRANT CREATE ON DATABASE "postgres" TO "poor"\.$/)
      yield* Effect.scoped(open({ url: server.url }))
      assert.match((yield* rights).message, /\(USAGE ON SCHEMA\)\.$/)
      yield* sql.unsafe("GRANT USAGE ON SCHEMA baton TO poor")
      yield* sql.unsafe("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA baton TO poor")
      yield* sql.unsafe("REVOKE DELETE ON baton.attempts FROM poor")
      assert.match((yield* rights).message, /\(DELETE ON attempts\)\.$/)
    })
  )
})
