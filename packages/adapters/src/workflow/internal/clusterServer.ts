/** Checks whether an engine on several machines can work with a PostgreSQL server, and holds the address of a process. */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { unusable, type WorkflowsError } from "../WorkflowsError.ts"

/**
 * Settings of all sessions of a process. One that freezes in the middle of a transaction would keep its rows locked, and no other
 * process could continue its executions.
 */
export const settings = (lockExpiration: Duration.Input): Readonly<Record<string, string>> => ({
  idle_in_transaction_session_timeout: String(
    Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(lockExpiration)) / 2)
  )
})

const oldest = 140_000

/** Fails if the server is too old, or if a pooler in transaction mode is in front of it. */
export const check = Effect.fnUntraced(function* (
  sql: PgClient.PgClient
): Effect.fn.Return<void, SqlError | WorkflowsError> {
  const [row] = yield* sql<{ version: number }>`SELECT current_setting('server_version_num')::int AS version`
  yield* checkVersion(row?.version ?? 0)
  if (yield* Effect.scoped(losesSessions(sql))) {
    return yield* unusable(
      new Error(
        "a pooler in transaction mode is between it and PostgreSQL, and the engine holds its locks on one connection. Use the address of the server itself, or a pool in session mode."
      )
    )
  }
})

/** Without `idle_session_timeout`, a process that froze would keep its executions. */
export const checkVersion = (version: number): Effect.Effect<void, WorkflowsError> =>
  version >= oldest
    ? Effect.void
    : unusable(
        new Error(
          `it needs PostgreSQL 14 or newer, and the server has version ${Math.floor(version / 10_000)}. Upgrade the server.`
        )
      )

/**
 * Whether a setting of one session is lost by it, or seen by another one. While a transaction of the second session is open, a
 * pooler in transaction mode has to give the first one another connection than before, or it has lent the same one to both.
 */
const losesSessions = Effect.fnUntraced(function* (
  sql: PgClient.PgClient
): Effect.fn.Return<boolean, SqlError, Scope.Scope> {
  const marker = "baton.session"
  const first = yield* sql.reserve
  const second = yield* sql.reserve
  const read = (connection: Connection) =>
    Effect.map(
      connection.executeValuesUnprepared(`SELECT coalesce(current_setting('${marker}', true), '')`, []),
      (rows) => rows[0]?.[0] === "first"
    )
  yield* first.executeUnprepared(`SELECT set_config('${marker}', 'first', false)`, [], undefined)
  return yield* Effect.ensuring(
    Effect.gen(function* () {
      yield* second.executeUnprepared("BEGIN", [], undefined)
      const isSeen = yield* read(second)
      return isSeen || !(yield* read(first))
    }),
    Effect.ignore(
      Effect.andThen(
        second.executeUnprepared("ROLLBACK", [], undefined),
        first.executeUnprepared(`SELECT set_config('${marker}', '', false)`, [], undefined)
      )
    )
  )
})

/** A process that was restarted waits this often for the server to end the session of its predecessor. */
const patience = Schedule.max([Schedule.spaced("250 millis"), Schedule.recurs(8)])

/**
 * Locks the address of this process while the scope is open, and fails if another process has it. Two with one address would
 * both execute what the others send to it. If the server ends the session, the address is locked again.
 */
export const holdAddress = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  options: { readonly address: string; readonly lockExpiration: Duration.Input }
): Effect.fn.Return<void, SqlError | WorkflowsError, Scope.Scope> {
  const { address } = options
  const expiration = Duration.fromInputUnsafe(options.lockExpiration)
  const inUse = unusable(
    new Error(
      `another process has the address ${address}. Give each process its own address. If the other process was on a machine that has crashed, try again in ${Math.ceil(Duration.toSeconds(expiration))} seconds.`
    )
  )
  const isLocked = yield* Deferred.make<void, SqlError | WorkflowsError>()
  const lock = Effect.gen(function* () {
    const connection = yield* sql.reserve
    // The server ends the session of a process that froze, as it does with the locks of the engine.
    const timeout = Math.ceil(Duration.toMillis(expiration))
    yield* connection.executeUnprepared(`SET idle_session_timeout = ${timeout}`, [], undefined)
    const [row] = yield* connection.executeValues("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", [
      `baton/workflows/${address}`
    ])
    if (row?.[0] !== true) return yield* inUse
    return connection
  })
  /** A connection goes back to the pool, so the lock and the setting are undone first. */
  const hold = Effect.acquireUseRelease(
    lock,
    (connection) =>
      Effect.andThen(
        Deferred.succeed(isLocked, undefined),
        Effect.repeat(
          connection.executeUnprepared("SELECT 1", [], undefined),
          Schedule.spaced(Duration.divideUnsafe(expiration, 3))
        )
      ),
    (connection) =>
      connection
        .executeUnprepared(
          "SELECT pg_advisory_unlock_all(), set_config('idle_session_timeout', '0', false)",
          [],
          undefined
        )
        .pipe(Effect.interruptible, Effect.timeout("1 second"), Effect.ignore)
  ).pipe(Effect.scoped)
  const again = hold.pipe(
    Effect.tapError((error) => Effect.logWarning(`The address ${address} is not locked`, error.message)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.annotateLogs({ module: "Workflows" })
  )
  yield* hold.pipe(
    Effect.retry({ schedule: patience, while: ({ _tag }) => _tag === "WorkflowsError" }),
    Effect.onError((cause) => Deferred.failCause(isLocked, cause)),
    Effect.catch(() => again),
    Effect.forkScoped
  )
  yield* Deferred.await(isLocked)
})
