import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Net from "node:net"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { within } from "./database.ts"
import * as Errors from "./errors.ts"
import { isName } from "./names.ts"

export interface ConnectOptions {
  readonly url: string | Redacted.Redacted
  readonly schema: string | undefined
  /** The listening connection included. */
  readonly maxConnections: number
  readonly statementTimeout: Duration.Duration
  readonly listen: boolean | undefined
  readonly applicationName: string
}

/** A pool of connections, and how it may be used. */
export interface Connected {
  readonly sql: PgClient.PgClient
  readonly place: Errors.Place
  /** How to open the connection that listens; undefined where no session can be kept. */
  readonly listener: PgConnection.Config | undefined
  /** Whether each connection keeps the plans of statements. */
  readonly prepare: boolean
}

export const defaultSchema = "baton"

/** PostgreSQL's own limit for a value. The driver's default of 16 MB would end the connection at a long output. */
const longestMessage = 1024 * 1024 * 1024 - 1

/** Detects a connection on which nothing arrives any more, even while it is idle. */
const keepAlive = Duration.seconds(15)

/** How long closing waits for the server before it destroys the connections. */
const closingDeadline = Duration.seconds(1)

/**
 * Settings of our sessions. Each statement finds its rows by an index, one after the other, however large the tables are,
 * and each connection plans it once. Left to itself, a plan that was made over empty tables would read them completely for
 * as long as the connection lives.
 */
const sessionSettings = (statementTimeout: Duration.Duration) => ({
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  jit: "off",
  statement_timeout: String(Math.ceil(Duration.toMillis(statementTimeout))),
  // A process that stops in the middle of a transaction must not keep its locks.
  idle_in_transaction_session_timeout: String(Math.ceil(Duration.toMillis(statementTimeout)))
})

export const connect = Effect.fnUntraced(function* (
  options: ConnectOptions
): Effect.fn.Return<Connected, TaskStoreError, Scope.Scope> {
  const url = typeof options.url === "string" ? Redacted.make(options.url) : options.url
  const parsed = parse(url)
  if (parsed === undefined) return yield* Effect.fail(Errors.unusable(Errors.notAUrl))
  const schemaName = options.schema ?? parsed.query.get("schema") ?? defaultSchema
  if (!isName(schemaName)) return yield* Effect.fail(Errors.unusable(Errors.notAName(schemaName)))
  const place = { ...parsed.address, schemaName }
  const keepsSessions = options.listen ?? parsed.query.get("listen") !== "false"

  const sockets = makeSockets(parsed)
  const config = {
    url,
    applicationName: options.applicationName,
    maxMessageSize: longestMessage,
    stream: sockets.connect,
    // A pooler in transaction mode refuses settings of a session, and forgets the statements that were prepared in it.
    prepare: keepsSessions,
    ...(keepsSessions ? { startupParameters: sessionSettings(options.statementTimeout) } : undefined)
  }
  const maxConnections = keepsSessions ? Math.max(1, options.maxConnections - 1) : options.maxConnections
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => closeWithin(scope, exit, sockets))
  const context = yield* Layer.buildWithScope(PgClient.layer({ ...config, maxConnections }), scope).pipe(
    Effect.mapError((error) => Errors.fromDriver(place, error))
  )
  return {
    sql: Context.get(context, PgClient.PgClient),
    place,
    listener: keepsSessions ? config : undefined,
    prepare: keepsSessions
  }
})

/** The open sockets of a pool. */
interface Sockets {
  readonly connect: () => Net.Socket
  readonly allClosed: Effect.Effect<void>
  /** Destroys all sockets, also those that are opened later. */
  readonly destroy: () => void
}

const makeSockets = ({ host, port }: { readonly host: string; readonly port: number }): Sockets => {
  const target = host.startsWith("/")
    ? { path: `${host}/.s.PGSQL.${port}` }
    : { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: Duration.toMillis(keepAlive) }
  const open = new Set<Net.Socket>()
  let isDestroyed = false
  let onAllClosed = () => {}
  return {
    connect: () => {
      const socket = Net.connect(target)
      open.add(socket)
      socket.once("close", () => {
        open.delete(socket)
        if (open.size === 0) onAllClosed()
      })
      if (isDestroyed) socket.destroy()
      return socket
    },
    allClosed: Effect.callback((resume) => {
      if (open.size === 0) resume(Effect.void)
      else onAllClosed = () => resume(Effect.void)
    }),
    destroy: () => {
      isDestroyed = true
      for (const socket of open) socket.destroy()
    }
  }
}

/**
 * Closes the pool. A server that is frozen or cut off answers nothing, and the pool waits for its statements: they fail when
 * their sockets are destroyed at the deadline.
 */
const closeWithin = Effect.fnUntraced(function* (
  scope: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
  sockets: Sockets
) {
  const destroying = yield* Effect.forkDetach(
    Effect.andThen(Effect.sleep(closingDeadline), Effect.sync(sockets.destroy))
  )
  yield* Scope.close(scope, exit)
  yield* sockets.allClosed
  yield* Fiber.interrupt(destroying)
})

/**
 * Opens a connection that listens on a channel.
 *
 * The connection is released before the listening, and releasing it waits for nothing. In the other order, the driver would
 * wait for the server to confirm that it stops listening.
 */
export const listen = Effect.fnUntraced(function* (
  config: PgConnection.Config,
  channel: string,
  deadline: Duration.Duration
): Effect.fn.Return<Queue.Dequeue<PgConnection.Notification, SqlError>, SqlError | Errors.NoAnswer, Scope.Scope> {
  const listening = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const connection = yield* PgConnection.make(config)
  return yield* within(deadline, Scope.provide(connection.listen(channel), listening))
})

interface Parsed {
  readonly address: Errors.Address
  readonly host: string
  readonly port: number
  readonly query: URLSearchParams
}

/** The values of `sslmode` that libpq knows. */
const sslModes = new Set(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])

/** Reads a PostgreSQL URL; undefined if it is not one. */
const parse = (url: Redacted.Redacted): Parsed | undefined => {
  const parsed = URL.parse(Redacted.value(url))
  if (parsed === null || (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:")) return undefined
  const query = parsed.searchParams
  if (!sslModes.has(query.get("sslmode") ?? "prefer") || !/^\d*$/.test(query.get("port") ?? "")) return undefined
  const hostname = decode(parsed.hostname).replace(/^\[(.*)\]$/, "$1")
  const host = query.get("host") ?? (hostname === "" ? "localhost" : hostname)
  const port = query.get("port") ?? (parsed.port === "" ? "5432" : parsed.port)
  const user = query.get("user") ?? decode(parsed.username)
  const database = query.get("dbname") ?? decode(parsed.pathname.slice(1))
  return {
    address: { server: `PostgreSQL at ${host}:${port}`, database: database === "" ? user : database, user },
    host,
    port: Number(port),
    query
  }
}

/** A text that is not encoded properly is returned unchanged. */
const decode = (text: string): string =>
  Result.getOrElse(
    Result.try(() => decodeURIComponent(text)),
    () => text
  )

/** The place of a store on the application's own client. */
export const placeOf = (config: PgClient.PgClientConfig, schema = defaultSchema): Errors.Place => {
  const address = config.url === undefined ? undefined : parse(config.url)?.address
  const user = config.username ?? address?.user ?? ""
  const host = config.path ?? config.host
  return {
    schemaName: schema,
    user,
    database: config.database ?? address?.database ?? user,
    server:
      host === undefined && address !== undefined
        ? address.server
        : `PostgreSQL at ${host ?? "localhost"}:${config.port ?? 5432}`
  }
}
