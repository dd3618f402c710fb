import type * as PgClient from "@effect/sql-pg/PgClient"
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { SqlError } from "effect/sql/SqlError"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../../internal/diagnosing.ts"
import { connect, type ConnectOptions, listen } from "./connection.ts"
import * as Database from "./database.ts"
import * as Errors from "./errors.ts"
import { literal, quote } from "./names.ts"
import { migrations } from "./migrations.ts"

/** Checks the server, its settings, the user's rights and the store. Writes nothing. */
export const diagnose = (options: ConnectOptions): Effect.Effect<ReadonlyArray<Diagnosis.Diagnosis>> =>
  Effect.gen(function* () {
    const { listener, place, sql } = yield* connect(options)
    const ask = Database.make(sql, { place, prepare: false, deadline: options.statementTimeout }).one
    const about = yield* ask<About>(aboutServer)
    const found: Array<Diagnosis.Diagnosis> = [
      Diagnosis.ok("server", `${place.server} answers.`),
      version(place, about)
    ]
    found.push(...durability(place, about), clock(place, about.now - (yield* Clock.currentTimeMillis)))
    found.push(
      listener === undefined
        ? Diagnosis.ok(
            "notifications",
            "They are off (listen=false): workers look for work a bit less than once a second."
          )
        : yield* notifications(sql, listener, place)
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
    : Diagnosis.ok("version", `${place.server} has version ${Math.floor(about.version / 10_000)}.`)
}

const durability = ({ server }: Errors.Place, about: About): ReadonlyArray<Diagnosis.Diagnosis> => [
  about.fsync === "on"
    ? Diagnosis.ok("fsync", "Writes survive a crash of the server's machine.")
    : Diagnosis.warn(
        "fsync",
        `${server} does not flush its writes: a crash of its machine can destroy the database.`,
        "Set fsync to on state."
      ),
  about.synchronous === "off"
    ? Diagnosis.warn(
        "synchronous_commit",
        `${server} answers before a write is on its disk: a crash can undo the last moments, including reported results.`,
        "Set synchronous_commit to on for this user or for the server."
      )
    : Diagnosis.ok("synchronous_commit", `The server answers when a write is on its disk (${about.synchronous}).`)
]

const clock = ({ server }: Errors.Place, skew: number) => Diagnosing.clock(server, skew)

/** How long a notification may take to come back. */
const patience = "2 seconds"

const notifications = (
  sql: PgClient.PgClient,
  listener: PgConnection.Config,
  place: Errors.Place
): Effect.Effect<Diagnosis.Diagnosis> => {
  // Not the store's channel, so that no worker looks for work because of this.
  const channel = "baton:doctor"
  return Effect.gen(function* () {
    const received = yield* listen(listener, channel, Duration.fromInputUnsafe(patience))
    yield* sql.notify(channel, "")
    yield* Queue.take(received)
    return Diagnosis.ok("notifications", "Workers are notified of new work at once.")
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.succeed(
          Diagnosis.warn(
            "notifications",
            "Notifications do not arrive, as behind a pooler in transaction mode: workers find new work seconds later.",
            "Add listen=false to the store's URL, or connect to the server itself."
          )
        )
    }),
    Effect.catch((error: SqlError | Errors.NoAnswer) =>
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

/** The rights that the store's statements need and the user does not have. */
const missingRights = `
  SELECT string_agg(DISTINCT p.name || ' ON ' || c.relname, ', ') FROM pg_class c
  CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (name)
  WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname <> 'baton_migrations'
    AND NOT has_table_privilege(c.oid, p.name)
    AND has_schema_privilege(n.oid, 'USAGE')`

const store = Effect.fnUntraced(function* (
  place: Errors.Place,
  ask: Database.Database["one"]
): Effect.fn.Return<Diagnosis.Diagnosis, TaskStoreError> {
  const { database, schemaName, user } = place
  const state = yield* ask<Found>(`
    SELECT has_database_privilege(current_database(), 'CREATE') AS can_create, n.oid IS NOT NULL AS has_schema,
      EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'baton_migrations') AS has_store,
      (SELECT count(*)::integer FROM pg_class c WHERE c.relnamespace = n.oid) AS relations,
      CASE WHEN n.oid IS NULL THEN NULL
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'USAGE ON SCHEMA' ELSE (${missingRights}) END AS missing
    FROM (VALUES (1)) AS one LEFT JOIN pg_namespace n ON n.nspname = ${literal(schemaName)}`)
  if (state.missing !== null) {
    return Diagnosis.fail(
      "rights",
      `User "${user}" lacks rights for the store in schema "${schemaName}" of database "${database}" (${state.missing}).`,
      "Ask the schema's owner to grant them."
    )
  }
  if (!state.has_store) {
    if (state.relations > 0) return yield* Effect.fail(Errors.unusable(Errors.foreign(place)))
    return state.can_create || state.has_schema
      ? Diagnosis.ok("store", `Schema "${schemaName}" has no store yet, and user "${user}" may create it.`)
      : Diagnosis.fail(
          "rights",
          `Database "${database}" has no schema "${schemaName}", and user "${user}" may not create it.`,
          `Ask its owner to run GRANT CREATE ON DATABASE "${database}" TO "${user}".`
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
      ? `The store in schema "${schemaName}" is up to date (schema ${found}).`
      : `The store in schema "${schemaName}" has an older version, and is brought up to date when it is opened.`
  )
})
