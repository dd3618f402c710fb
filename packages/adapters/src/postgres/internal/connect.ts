import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Address from "./address.ts"
import * as Errors from "./errors.ts"
import { isName } from "./identifiers.ts"

export interface ConnectOptions {
  readonly url: string | Redacted.Redacted
  readonly schema: string | undefined
  readonly maxConnections: number
  readonly statementTimeout: Duration.Duration
  readonly listen: boolean | undefined
  readonly applicationName: string
}

/** A pool of connections, and how it may be used. */
export interface Connected {
  readonly sql: PgClient.PgClient
  readonly place: Errors.Place
  readonly listen: boolean
  /** Whether each connection keeps the plans of statements. */
  readonly prepare: boolean
}

export const defaultSchema = "baton"

/** PostgreSQL's own limit for a value. The driver's default of 16 MB would end the connection at a long output. */
const longestMessage = 1024 * 1024 * 1024 - 1

/** A connection on which nothing arrives any more is found out by this, even if nothing is asked on it. */
const keepAlive = Duration.seconds(15)

/**
 * Settings of our sessions. Every statement of ours is to find its rows by an index, one after the other, whatever size the
 * tables have, and a plan is made once for each connection: made over empty tables and left to itself, it would read them
 * as a whole for as long as the connection lives.
 */
const sessionSettings = (statementTimeout: Duration.Duration) => ({
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  jit: "off",
  statement_timeout: String(Math.ceil(Duration.toMillis(statementTimeout))),
  // Whoever stops in the middle of a transaction must not keep its locks.
  idle_in_transaction_session_timeout: String(Math.ceil(Duration.toMillis(statementTimeout)))
})

export const connect = Effect.fnUntraced(function* (
  options: ConnectOptions
): Effect.fn.Return<Connected, TaskStoreError, Scope.Scope> {
  const url = typeof options.url === "string" ? Redacted.make(options.url) : options.url
  const parsed = Address.parse(url)
  if (parsed === undefined) return yield* Effect.fail(Errors.unusable(Errors.notAUrl))
  const { address, query } = parsed
  const schemaName = options.schema ?? query.get("schema") ?? defaultSchema
  if (!isName(schemaName)) return yield* Effect.fail(Errors.unusable(Errors.notAName(schemaName)))
  const place: Errors.Place = { ...address, schemaName }
  const sessions = options.listen ?? query.get("listen") !== "false"

  const layer = PgClient.layer({
    url,
    applicationName: options.applicationName,
    maxConnections: options.maxConnections,
    maxMessageSize: longestMessage,
    keepAlive,
    // A pooler that lends a session for a transaction refuses settings of a session, and forgets what was prepared in it.
    prepare: sessions,
    ...(sessions ? { startupParameters: sessionSettings(options.statementTimeout) } : undefined)
  })
  const context = yield* Effect.mapError(Layer.build(layer), (error) => Errors.fromDriver(place, error))
  return { sql: Context.get(context, PgClient.PgClient), place, listen: sessions, prepare: sessions }
})

/** Where a client of the application's is connected to. */
export const placeOf = (config: PgClient.PgClientConfig, schema = defaultSchema): Errors.Place => {
  const parsed = config.url === undefined ? undefined : Address.parse(config.url)?.address
  const user = config.username ?? parsed?.user ?? ""
  const host = config.path ?? config.host
  return {
    schemaName: schema,
    user,
    database: config.database ?? parsed?.database ?? user,
    server:
      host === undefined && parsed !== undefined
        ? parsed.server
        : `PostgreSQL at ${host ?? "localhost"}:${config.port ?? 5432}`
  }
}
