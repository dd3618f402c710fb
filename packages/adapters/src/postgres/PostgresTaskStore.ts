/**
 * A task store in a PostgreSQL database, for any number of workers on any number of machines.
 *
 * When an operation returns, its writes are on the server's disk, as long as `synchronous_commit` is on there, which is the
 * default. All times are the server's, so the workers' clocks do not matter. Workers notify each other of new work. In case
 * a notification is lost, they also look for work themselves: an idle worker asks at most once a second.
 *
 * When a connection breaks, the operations on it fail as `Unavailable`, and a run retries them for as long as it takes. It
 * keeps its leases if it is back in time. Delivery is at-least-once; at most one result per lease is accepted.
 *
 * Needs PostgreSQL 13 or newer, and a database in UTF8.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Diagnosis } from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import * as TaskStoreDriver from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Connected, connect, type ConnectOptions, defaultSchema, placeOf } from "./internal/connection.ts"
import * as Diagnose from "./internal/diagnose.ts"
import * as Driver from "./internal/driver.ts"
import * as Errors from "./internal/errors.ts"
import { migrate } from "./internal/migrations.ts"
import { quote } from "./internal/names.ts"

/**
 * Options of a store on any connection.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface StoreOptions {
  /** The schema that holds the store's tables, and nothing else. The store creates it if it is missing. Default "baton". */
  readonly schema?: string | undefined
  /** Fail if there is no store in this place, instead of creating one. Default false. */
  readonly mustExist?: boolean | undefined
  /** A statement that takes longer is stopped, and fails as `Unavailable`. Default 10 seconds. */
  readonly statementTimeout?: Duration.Input | undefined
  /**
   * Whether to keep a connection that is notified of changes at once. Default true. With `false` the store works through a
   * pooler in transaction mode (PgBouncer): it keeps nothing in a session, and looks for changes a bit less than once a
   * second.
   */
  readonly listen?: boolean | undefined
}

/**
 * Options of a store with its own connections.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends StoreOptions {
  /**
   * The database, as `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with libpq's parameters (`sslmode=require`, for
   * example). `schema=NAME` and `listen=false` are understood too. No message ever shows the password.
   */
  readonly url: string | Redacted.Redacted
  /** The greatest number of connections; one of them listens. Default 5, the number of things a worker does at a time. */
  readonly maxConnections?: number | undefined
  /** The name of the connections in `pg_stat_activity`. Default "baton". */
  readonly applicationName?: string | undefined
}

/**
 * The defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaults = {
  schema: defaultSchema,
  mustExist: false,
  statementTimeout: Duration.seconds(10),
  maxConnections: 5,
  applicationName: "baton"
} as const satisfies Omit<Options, "url">

/**
 * A store in the database at `url`, with its own connections. Fails with a `TaskStoreError` of one sentence, and changes
 * nothing, when the server cannot be reached or refuses the user, when rights are missing, and when the schema does not
 * belong to Baton or is of a newer version.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/**
 * A store on the application's own `PgClient`. Its statements join the open transaction: `add` inside of
 * `sql.withTransaction` adds the tasks if and only if the rest of the transaction commits. Do not claim in a transaction.
 *
 * The connection that listens is opened with the client's settings, next to its pool.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: StoreOptions = {}): Layer.Layer<TaskStore, TaskStoreError, PgClient.PgClient> =>
  Layer.effect(
    TaskStore,
    Effect.flatMap(PgClient.PgClient, (sql) =>
      assemble(
        {
          sql,
          place: placeOf(sql.config, options.schema),
          listener: (options.listen ?? true) ? sql.config : undefined,
          // Their sessions have their own settings, under which a kept plan can be a bad one.
          prepare: false
        },
        options
      )
    )
  )

/**
 * The store without its layer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  return yield* assemble(yield* connect(connecting(options)), options)
})

const connecting = (options: Options): ConnectOptions => ({
  url: options.url,
  schema: options.schema,
  maxConnections: Math.max(2, options.maxConnections ?? defaults.maxConnections),
  statementTimeout: timeoutOf(options),
  listen: options.listen,
  applicationName: options.applicationName ?? defaults.applicationName
})

/**
 * Checks the server, its settings, the user's rights and the store, and reports problems that would prevent a run or break
 * a guarantee of the store. Writes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose = (options: Options): Effect.Effect<ReadonlyArray<Diagnosis>> =>
  Diagnose.diagnose(connecting(options))

/**
 * Deletes the store: its schema, with all tasks. Fails and deletes nothing if the schema does not belong to Baton.
 *
 * @category administration
 * @since 0.2.0
 */
export const remove = (options: Options): Effect.Effect<void, TaskStoreError> =>
  Effect.gen(function* () {
    const { place, sql } = yield* connect(connecting({ ...options, listen: false }))
    yield* migrate(sql, { place, mustExist: true })
    const dropAll = `DROP SCHEMA ${quote(place.schemaName)} CASCADE`
    yield* sql.unsafe(dropAll).unprepared.pipe(Effect.mapError((error) => Errors.fromDriver(place, error)))
  }).pipe(Effect.scoped)

const timeoutOf = ({ statementTimeout = defaults.statementTimeout }: StoreOptions) =>
  Duration.fromInputUnsafe(statementTimeout)

/** The server stops a statement first, which keeps the connection usable. */
const grace = Duration.seconds(1)

const assemble = Effect.fnUntraced(function* (
  connected: Connected,
  options: StoreOptions
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  const { place, sql } = connected
  yield* migrate(sql, { place, mustExist: options.mustExist ?? defaults.mustExist })
  return yield* TaskStoreDriver.make(yield* Driver.make(connected, Duration.sum(timeoutOf(options), grace)))
})
