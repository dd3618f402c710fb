import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { SqlError } from "effect/sql/SqlError"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import { literal, quote } from "./identifiers.ts"
import { type Migration, migrations } from "./migrations.ts"

export interface MigrateOptions {
  readonly place: Errors.Place
  /** Fail rather than make the store where there is none. */
  readonly mustExist: boolean
  readonly migrations?: ReadonlyArray<Migration> | undefined
}

interface Found {
  readonly version: number
  readonly encoding: string
  readonly has_schema: boolean
  readonly has_store: boolean
  readonly relations: number
}

/**
 * Brings the schema up to date, or makes it. One transaction under a lock, so that of many workers that start at the same
 * time one does it, and a failure leaves nothing behind. Fails, and changes nothing, when the schema is not Baton's or of
 * a newer version.
 */
export const migrate = Effect.fnUntraced(
  function* (sql: PgClient.PgClient, options: MigrateOptions): Effect.fn.Return<void, TaskStoreError | SqlError> {
    const { place } = options
    const schema = quote(place.schemaName)
    const history = `${schema}.baton_migrations`
    const known = options.migrations ?? migrations
    const run = <A extends object>(statement: string) => sql.unsafe<A>(statement).unprepared

    const look = Effect.map(
      run<Found>(`
        SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
          n.oid IS NOT NULL AS has_schema,
          EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'baton_migrations') AS has_store,
          (SELECT count(*)::integer FROM pg_class c WHERE c.relnamespace = n.oid) AS relations
        FROM (VALUES (1)) AS one LEFT JOIN pg_namespace n ON n.nspname = ${literal(place.schemaName)}`),
      ([found]) => found
    )

    /** How many migrations the schema has been through; what is wrong with it, if it cannot be used. */
    const inspect = Effect.gen(function* () {
      const found = yield* look
      if (found === undefined) return yield* Effect.fail(Errors.unusable(Errors.foreign(place)))
      const refuse = (problem: string) => Effect.fail(Errors.unusable(problem))
      if (found.version < Errors.oldestVersion) return yield* refuse(Errors.tooOld(place, found.version))
      if (found.encoding !== "UTF8") return yield* refuse(Errors.notUtf8(place, found.encoding))
      if (!found.has_store) {
        if (found.relations > 0) return yield* refuse(Errors.foreign(place))
        if (options.mustExist) return yield* refuse(Errors.missing(place))
        return { applied: 0, hasSchema: found.has_schema, hasStore: false }
      }
      const [last] = yield* run<{ readonly applied: number }>(`SELECT max(version) AS applied FROM ${history}`)
      const applied = last?.applied ?? 0
      if (applied > known.length) return yield* refuse(Errors.newer(place, applied, known.length))
      return { applied, hasSchema: true, hasStore: true }
    })

    if ((yield* inspect).applied === known.length) return
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* run("SET LOCAL statement_timeout = 0")
        yield* run("SET LOCAL idle_in_transaction_session_timeout = 0")
        // Held until the transaction ends, which a lock of the session would not survive behind a pooler.
        yield* run(`SELECT pg_advisory_xact_lock(hashtextextended(${literal(`baton:${place.schemaName}`)}, 0))`)
        // Again, now that no other process can change it.
        const { applied, hasSchema, hasStore } = yield* inspect
        if (!hasSchema) yield* run(`CREATE SCHEMA ${schema}`)
        if (!hasStore) {
          yield* run(
            `CREATE TABLE ${history} (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)`
          )
        }
        for (const [index, { name, statements }] of known.entries()) {
          if (index < applied) continue
          yield* Effect.forEach(statements(schema), (statement) => run(statement), { discard: true })
          yield* run(`INSERT INTO ${history} VALUES (${index + 1}, ${literal(name)}, now())`)
        }
      })
    )
  },
  (effect, _, { place }) =>
    Effect.mapError(effect, (error) => (error instanceof SqlError ? Errors.fromDriver(place, error) : error))
)
