import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { SqlError } from "effect/sql/SqlError"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../../internal/diagnosing.ts"
import { connect, type ConnectOptions } from "./connect.ts"
import * as Errors from "./errors.ts"
import { literal, quote } from "./identifiers.ts"
import { migrations } from "./migrations.ts"

/** Looks at the server, at what it is set to, at rights, and at the store on it. Writes nothing. */
export const diagnose = (options: ConnectOptions): Effect.Effect<ReadonlyArray<Diagnosis.Diagnosis>> =>
  Effect.gen(function* () {
    const { listen, place, sql } = yield* connect(options)
    const ask = <A extends object>(statement: string): Effect.Effect<A, TaskStoreError> =>
      sql.unsafe<A>(statement).unprepared.pipe(
        Effect.timeoutOrElse({
          duration: options.statementTimeout,
          orElse: () => Effect.fail(new Errors.NoAnswer({ millis: Duration.toMillis(options.statementTimeout) }))
        }),
        Effect.mapError((error) => Errors.fromDriver(place, error)),
        Effect.flatMap(([row]) =>
          row === undefined ? Effect.fail(Errors.unusable(Errors.foreign(place))) : Effect.succeed(row)
        )
      )
    const about = yield* ask<About>(aboutServer)
    const found: Array<Diagnosis.Diagnosis> = [
      Diagnosis.ok("server", `${place.server} answers.`),
      version(place, about)
    ]
    found.push(...durability(place, about), clock(place, about.now - (yield* Clock.currentTimeMillis)))
    found.push(
      listen
        ? yield* hears(sql, place)
        : Diagnosis.ok(
            "notifications",
            "They are off (listen=false): workers look for work a bit less than once a second."
          )
    )
    if (found.some(({ status }) => status === "fail")) return found
    found.push(yield* Diagnosing.check("store", store(place, ask)))
    return found
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed([Diagnosing.fromError("server", error)]))
  )

interface About {
  readonly version: number
  readonly encoding: string
  readonly standby: boolean
  readonly synchronous: string
  readonly fsync: string
  readonly now: number
}

const aboutServer = `
  SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS standby,
    current_setting('synchronous_commit') AS synchronous, current_setting('fsync') AS fsync,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`

const version = (place: Errors.Place, about: About): Diagnosis.Diagnosis => {
  const refuse = (problem: string) => Diagnosing.fromError("version", Errors.unusable(problem))
  if (about.version < Errors.oldestVersion) return refuse(Errors.tooOld(place, about.version))
  if (about.encoding !== "UTF8") return refuse(Errors.notUtf8(place, about.encoding))
  return about.standby
    ? refuse(Errors.standby(place))
    : Diagnosis.ok("version", `${place.server} is of version ${Math.floor(about.version / 10_000)}.`)
}

const durability = ({ server }: Errors.Place, about: About): ReadonlyArray<Diagnosis.Diagnosis> => [
  about.fsync === "on"
    ? Diagnosis.ok("fsync", "What is written survives a crash of the server's machine.")
    : Diagnosis.warn(
        "fsync",
        `${server} does not flush what it writes: a crash of its machine can destroy the database.`,
        "Set fsync to on there."
      ),
  about.synchronous === "off"
    ? Diagnosis.warn(
        "synchronous_commit",
        `${server} answers before a write is on its disk: a crash can undo the last moments, results that were reported included.`,
        "Set synchronous_commit to on for this user, or there."
      )
    : Diagnosis.ok("synchronous_commit", `A write is on the disk when it is answered (${about.synchronous}).`)
]

const clock = ({ server }: Errors.Place, skew: number) => Diagnosing.clock(server, skew)

/** How long a notification may take to come back. */
const patience = "2 seconds"

const hears = (sql: PgClient.PgClient, place: Errors.Place): Effect.Effect<Diagnosis.Diagnosis> => {
  // Not the store's own channel: nobody has to look for work because of this.
  const name = "baton:doctor"
  return Effect.gen(function* () {
    const heard = yield* sql.listen(name)
    yield* sql.notify(name, "")
    yield* Queue.take(heard)
    return Diagnosis.ok("notifications", "Workers hear at once of new work.")
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.succeed(
          Diagnosis.warn(
            "notifications",
            "Notifications do not arrive, as behind a pooler that lends sessions for a transaction: work is found seconds later.",
            "Add listen=false to the store's URL, or connect to the server itself."
          )
        )
    }),
    Effect.catch((error: SqlError) =>
      Effect.succeed(Diagnosing.fromError("notifications", Errors.fromDriver(place, error)))
    )
  )
}

interface Found {
  readonly can_create: boolean
  readonly has_schema: boolean
  readonly has_store: boolean
  readonly relations: number
  readonly missing: string | null
}

/** What this user may not do, of what the store's statements do. */
const missingRights = `
  SELECT string_agg(DISTINCT p.name || ' ON ' || c.relname, ', ') FROM pg_class c
  CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (name)
  WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname <> 'baton_migrations'
    AND NOT has_table_privilege(c.oid, p.name)
    AND has_schema_privilege(n.oid, 'USAGE')`

const store = Effect.fnUntraced(function* (
  place: Errors.Place,
  ask: <A extends object>(statement: string) => Effect.Effect<A, TaskStoreError>
): Effect.fn.Return<Diagnosis.Diagnosis, TaskStoreError> {
  const { database, schemaName, user } = place
  const there = yield* ask<Found>(`
    SELECT has_database_privilege(current_database(), 'CREATE') AS can_create, n.oid IS NOT NULL AS has_schema,
      EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'baton_migrations') AS has_store,
      (SELECT count(*)::integer FROM pg_class c WHERE c.relnamespace = n.oid) AS relations,
      CASE WHEN n.oid IS NULL THEN NULL
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'USAGE ON SCHEMA' ELSE (${missingRights}) END AS missing
    FROM (VALUES (1)) AS one LEFT JOIN pg_namespace n ON n.nspname = ${literal(schemaName)}`)
  if (there.missing !== null) {
    return Diagnosis.fail(
      "rights",
      `User "${user}" lacks rights for the store in schema "${schemaName}" of database "${database}" (${there.missing}).`,
      "Let the schema's owner grant them."
    )
  }
  if (!there.has_store) {
    if (there.relations > 0) return yield* Effect.fail(Errors.unusable(Errors.foreign(place)))
    return there.can_create || there.has_schema
      ? Diagnosis.ok("store", `There is no store in schema "${schemaName}" yet, and this user may make it.`)
      : Diagnosis.fail(
          "rights",
          `There is no schema "${schemaName}" in database "${database}", and user "${user}" may not make it.`,
          `Let its owner run GRANT CREATE ON DATABASE "${database}" TO "${user}".`
        )
  }
  const { applied } = yield* ask<{ readonly applied: number | null }>(
    `SELECT max(version) AS applied FROM ${quote(schemaName)}.baton_migrations`
  )
  const found = applied ?? 0
  if (found > migrations.length)
    return yield* Effect.fail(Errors.unusable(Errors.newer(place, found, migrations.length)))
  return Diagnosis.ok(
    "store",
    found === migrations.length
      ? `The store in schema "${schemaName}" is of the version that this Baton writes (schema ${found}).`
      : `The store in schema "${schemaName}" is of an older version and will be brought up to date when it is opened.`
  )
})
