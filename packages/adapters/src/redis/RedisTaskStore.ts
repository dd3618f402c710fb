/**
 * A task store in Redis 7, for any number of workers on any number of machines.
 *
 * Every transition is one script that the server runs as one step, for a whole batch of tasks. Leases and delays follow the
 * server's clock. All keys of a store have the same hash tag, so that a cluster keeps them on one node, and none of them
 * expires.
 *
 * **Settings of the server**
 *
 * What a store has accepted is only as durable as the server's settings make it:
 *
 * - `appendonly yes`. Without it, a crash of Redis loses everything since its last snapshot; the store logs a warning.
 * - `appendfsync everysec` (the default) loses the last second when the machine crashes, and up to two seconds when Redis
 *   crashes while its disk is busy: tasks added in them are gone, attempts that ended in them are repeated, and a token
 *   given out in them can be given out again. `appendfsync always` loses nothing, at the cost of a disk flush per write.
 * - `maxmemory-policy noeviction` (the default). The store refuses a server that evicts keys (`allkeys-*`).
 * - A failover to a replica loses the writes that had not reached it. `min-replicas-to-write 1` with a small
 *   `min-replicas-max-lag` limits the loss.
 *
 * **Lost connections**
 *
 * When a connection breaks, the command under way may have been carried out. The store never repeats it by itself: the call
 * fails as `Unavailable`. Running the same `settle` effect again is safe: attempts that its first run has ended are not
 * reported as lost leases. Tasks that a `claim` took whose reply was lost are returned by the next claim of the same owner,
 * and no further attempt is counted.
 *
 * The store uses `@redis/client`, the core of the npm package `redis`. The `NodeRedis` of `@effect/platform-node` is a layer
 * over the same client, but it logs every broken connection with its stack trace, holds commands back while it reconnects,
 * and waits for the last reply when it closes, which never arrives over a half-open connection.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { Diagnosis } from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import * as TaskStoreDriver from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../internal/diagnosing.ts"
import * as Address from "./internal/address.ts"
import * as Connection from "./internal/connection.ts"
import * as Diagnose from "./internal/diagnose.ts"
import * as Driver from "./internal/driver.ts"
import * as Errors from "./internal/errors.ts"
import { migrate } from "./internal/lua/migration.ts"
import { keys } from "./internal/lua/prelude.ts"
import { open } from "./internal/lua/reading.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /**
   * `redis://USER:PASSWORD@HOST:6379/0`, or `rediss:` for TLS. The database number and `?prefix=NAME` are optional. Messages
   * never show the password.
   */
  readonly url: string | Redacted.Redacted
  /** The prefix of all key names, in braces. Default: the one in the URL, or `baton`. */
  readonly prefix?: string | undefined
  /** Fail if the store does not exist yet. Adding the first task creates it. Default: false. */
  readonly mustExist?: boolean | undefined
  /** How long connecting may take. Default: 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long the server may take to answer. Default: 10 seconds. It should be shorter than a lease. */
  readonly commandTimeout?: Duration.Input | undefined
}

/**
 * The defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaults = {
  prefix: "baton",
  mustExist: false,
  connectTimeout: Duration.seconds(5),
  commandTimeout: Duration.seconds(10)
} as const satisfies Omit<Options, "url">

/**
 * A store in Redis, connected for as long as the layer lives. Fails with a `TaskStoreError` when the server cannot be
 * reached, refuses the user, evicts keys, or has other data under the store's keys. Its message never contains the password.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/** The options of a connection. */
const resolve = (options: Options): Result.Result<Omit<Connection.Options, "sender">, TaskStoreError> =>
  Result.flatMap(
    Address.parse(Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url),
    (address) => {
      const prefix = options.prefix ?? address.prefix ?? defaults.prefix
      return /^[^{}]{1,200}$/.test(prefix)
        ? Result.succeed({
            address,
            prefix,
            keys: keys(prefix),
            connectTimeoutMillis: Duration.toMillis(options.connectTimeout ?? defaults.connectTimeout),
            commandTimeoutMillis: Duration.toMillis(options.commandTimeout ?? defaults.commandTimeout)
          })
        : Result.fail(
            Errors.unusable("The prefix of a Redis store must have 1 to 200 characters and no braces: choose another.")
          )
    }
  )

/** How many members of each sorted set one call migrates: a few milliseconds of the server's time. */
const migratedAtOnce = "500"

/** Whether there is a store. One of a former version is migrated. */
const openStore = (connection: Connection.Connection): Effect.Effect<boolean, TaskStoreError> =>
  Effect.flatMap(
    connection.run(open, [], (reply) => reply),
    (found) =>
      found === "former"
        ? connection
            .run(migrate, [migratedAtOnce], (reply) => reply === 1)
            .pipe(Effect.repeat({ until: (isDone) => isDone }))
        : Effect.succeed(found === 1)
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
  // Not from `Random`, which can be seeded: two stores must not take each other's notifications for their own.
  const resolved = { ...(yield* Effect.fromResult(resolve(options))), sender: randomUUID().slice(0, 8) }
  const connection = yield* Connection.make(resolved)
  const exists = yield* openStore(connection)
  if (options.mustExist === true && !exists) {
    return yield* Errors.unusable(Errors.missing(resolved.prefix, Address.show(resolved.address)))
  }
  return yield* TaskStoreDriver.make(Driver.make(connection, resolved))
})

/**
 * Checks the server, its settings and the store, and reports what would prevent a run or weaken the store's guarantees.
 * Writes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose = (options: Options): Effect.Effect<ReadonlyArray<Diagnosis>> =>
  Result.match(resolve(options), {
    onFailure: (error) => Effect.succeed([Diagnosing.fromError("address", error)]),
    onSuccess: Diagnose.diagnose
  })

/** How many keys one command deletes. */
const deletedAtOnce = 1_000

/**
 * Deletes the store: all keys with its prefix.
 *
 * @category administration
 * @since 0.2.0
 */
export const remove = (options: Options): Effect.Effect<void, TaskStoreError> =>
  Effect.gen(function* () {
    const resolved = yield* Effect.fromResult(resolve(options))
    const connection = yield* Connection.make({ ...resolved, sender: "" })
    // Finds the node of a cluster that has the keys.
    yield* openStore(connection)
    const client = yield* connection.another
    const pattern = `{${resolved.prefix.replaceAll(/[*?[\]\\^-]/g, "\\$&")}}:*`
    let cursor = "0"
    do {
      const page = yield* connection.ask(client, () => client.scan(cursor, { MATCH: pattern, COUNT: deletedAtOnce }))
      if (page.keys.length > 0) yield* connection.ask(client, () => client.unlink(page.keys))
      cursor = page.cursor
    } while (cursor !== "0")
  }).pipe(Effect.scoped)
