/**
 * A task store in a PostgreSQL database, for any number of workers on any number of machines.
 *
 * What an operation has written is on the server's disk when it returns (with its `synchronous_commit` on, as it is by
 * default). Times are the server's, so that workers' clocks do not matter. Workers tell each other of new work with
 * notifications, and look now and then in case one got lost: an idle worker asks at most once a second.
 *
 * A connection that breaks fails the operations on it as `Unavailable`, which a run tries again for as long as it takes;
 * what it holds keeps its leases if it is back in time. Delivery is at-least-once; at most one result per lease is accepted.
 *
 * Needs PostgreSQL 13 or newer with a database in UTF8.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Diagnosis } from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Admission from "./internal/admission.ts"
import * as Claiming from "./internal/claiming.ts"
import { type Connected, connect, type ConnectOptions, defaultSchema, placeOf } from "./internal/connect.ts"
import * as Database from "./internal/database.ts"
import * as Diagnose from "./internal/diagnose.ts"
import * as Leases from "./internal/leases.ts"
import { migrate } from "./internal/migrate.ts"
import * as Names from "./internal/names.ts"
import * as Reading from "./internal/reading.ts"
import * as Selection from "./internal/selection.ts"
import * as Seqs from "./internal/seqs.ts"
import * as Settling from "./internal/settling.ts"
import * as Signals from "./internal/signals.ts"
import * as Sweeping from "./internal/sweeping.ts"
import * as Transfer from "./internal/transfer.ts"
import * as Waiting from "./internal/waiting.ts"

/**
 * What can be chosen on any connection.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface StoreOptions {
  /** The schema that holds the store's tables, and nothing else. Made where there is none. Default "baton". */
  readonly schema?: string | undefined
  /** Fail rather than make a new store when there is none in this place. Default false. */
  readonly mustExist?: boolean | undefined
  /** How long a statement may take before it is stopped and fails as `Unavailable`. Default 10 seconds. */
  readonly statementTimeout?: Duration.Input | undefined
  /**
   * Whether to keep a connection that hears of changes at once. Default true. With `false` the store works through a pooler
   * that lends a connection for one transaction (PgBouncer's transaction mode): it keeps nothing in a session, and finds
   * what is new by asking, a bit less than once a second.
   */
  readonly listen?: boolean | undefined
}

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options extends StoreOptions {
  /**
   * Where the database is, as `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with libpq's parameters (`sslmode=require`,
   * for example). `schema=NAME` and `listen=false` are understood too. No message ever shows the password.
   */
  readonly url: string | Redacted.Redacted
  /** How many connections to open at most; one of them listens. Default 5: a worker does about so many things at a time. */
  readonly maxConnections?: number | undefined
  /** How the connections are called in `pg_stat_activity`. Default "baton". */
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
 * A store in the database at `url`, with connections of its own. Fails with a `TaskStoreError` of one sentence, and changes
 * nothing, when the server cannot be reached or refuses the user, when rights are missing, and when the schema is not
 * Baton's or of a newer version.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/**
 * A store on the application's own `PgClient`. Its statements join the transaction that is under way: `add` inside
 * `sql.withTransaction` adds the tasks if and only if the rest of the transaction commits. Do not claim inside of one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: StoreOptions = {}): Layer.Layer<TaskStore, TaskStoreError, PgClient.PgClient> =>
  Layer.effect(
    TaskStore,
    Effect.flatMap(PgClient.PgClient, (sql) =>
      // Their sessions have their own settings, under which a plan had better not be kept.
      assemble(
        { sql, place: placeOf(sql.config, options.schema), listen: options.listen ?? true, prepare: false },
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
 * Looks at the server, at what it is set to, at rights, and at the store on it, and says what would be in the way of a run,
 * or of what the store promises. Writes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose = (options: Options): Effect.Effect<ReadonlyArray<Diagnosis>> =>
  Diagnose.diagnose(connecting(options))

const timeoutOf = ({ statementTimeout = defaults.statementTimeout }: StoreOptions) =>
  Duration.fromInputUnsafe(statementTimeout)

/** The server stops a statement first, which leaves the connection in order. */
const grace = Duration.seconds(1)

/** Statements that write counts, between two times that the store adds them up. */
const foldEvery = 250

const assemble = Effect.fnUntraced(function* (
  { listen, place, prepare, sql }: Connected,
  options: StoreOptions
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  yield* migrate(sql, { place, mustExist: options.mustExist ?? defaults.mustExist })

  const names = Names.make(place.schemaName)
  const db = Database.make(sql, { place, prepare, deadline: Duration.sum(timeoutOf(options), grace) })
  const seqs = Seqs.make()
  const instance = yield* Random.nextIntBetween(0, 2 ** 40)
  const signals = yield* Signals.make(sql, db, { listen, instance })
  const waiting = Waiting.make(db, names, signals)
  const reading = Reading.make(db, names)
  const leases = Leases.make(db, names, seqs)
  const admission = Admission.make(db, names)
  const selection = Selection.make(db, names)
  const transfer = Transfer.make(db, names, admission)
  const claim = Claiming.make(db, names, seqs, instance)
  const settle = Settling.make(db, names, leases, seqs)
  const sweep = Sweeping.make(db, names)

  let counted = 0
  const scope = yield* Effect.scope

  /** After a write that changed counts. */
  const count = Effect.suspend(() => {
    counted++
    return counted % foldEvery === 0 ? Effect.forkIn(Effect.ignore(reading.foldCounts), scope) : Effect.void
  })

  const tell = (kind: Signals.Kind) => Effect.sync(() => signals.tell(kind))

  return {
    add: (tasks) => Effect.tap(admission.add(tasks), () => Effect.andThen(tell("work"), count)),

    claim: (options) =>
      Effect.tap(claim(options), (claims) => {
        waiting.claimed(claims.length)
        // Who waits here has to know the new leases' ends, because the claimer may die; elsewhere, they look in time.
        signals.work.ring()
        return claims.length === 0 ? Effect.void : count
      }),

    checkpoint: leases.checkpoint,

    settle: (settlements) =>
      Effect.tap(settle(settlements), () => {
        // Others have something to do with it if a task came back, or if there is nothing left to claim: then they wait for
        // a last one to end, or for one that this one held up.
        const matters = waiting.isDry() || settlements.some(({ _tag }) => _tag === "Retry" || _tag === "Release")
        if (matters) signals.tell("work")
        else signals.work.ring()
        return count
      }),

    extend: (held, lease) =>
      // A lease can also be extended to an earlier end than it had.
      Effect.tap(leases.extend(held, lease), () => Effect.sync(signals.work.ring)),

    sweep: (options) => Effect.tap(sweep(options), (swept) => (swept.length === 0 ? Effect.void : tell("work"))),

    get: reading.get,
    list: reading.list,
    attempts: reading.attempts,
    counts: reading.counts,

    requeue: (chosen) =>
      Effect.map(
        Effect.tap(selection.requeue(chosen), () => tell("work")),
        ({ ids }) => ids
      ),

    cancel: (chosen) =>
      Effect.map(
        Effect.tap(selection.cancel(chosen), ({ running }) =>
          running > 0 ? Effect.andThen(tell("control"), tell("work")) : tell("work")
        ),
        ({ ids }) => ids
      ),

    prune: selection.prune,

    awaitWork: waiting.awaitWork,
    control: waiting.control,
    request: waiting.request,
    awaitControl: waiting.awaitControl,

    dump: transfer.dump,
    restore: (records) => Effect.tap(transfer.restore(records), () => tell("work"))
  }
})
