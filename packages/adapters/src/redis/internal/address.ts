import { ErrorReply } from "@redis/client"
import * as Result from "effect/Result"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { unusable } from "./errors.ts"

/** Where a store is, taken from its URL. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly database: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly prefix: string | undefined
}

const wanted = "redis://USER:PASSWORD@HOST:6379/0?prefix=NAME, or rediss:// for TLS"

/** What is wrong is said without quoting the URL, because there may be a password in it. */
const wrong = (what: string) =>
  Result.fail(unusable(`The URL of the Redis store ${what}: it has to look like ${wanted}.`))

export const parse = (text: string): Result.Result<Address, TaskStoreError> => {
  const url = URL.parse(text)
  if (url === null) return wrong("is not a URL")
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") return wrong("does not start with redis://")
  if (url.hostname === "") return wrong("names no host")
  const database = /^\/?(\d{0,9})$/.exec(url.pathname)
  if (database === null) return wrong("names a database that is no number")
  const unknown = url.searchParams.keys().find((name) => name !== "prefix")
  if (unknown !== undefined) return wrong(`has the parameter "${unknown}", which is unknown`)
  const username = unescape(url.username)
  const password = unescape(url.password)
  if (username === undefined || password === undefined)
    return wrong("has a % in its password that is not written as %25")
  return Result.succeed({
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    tls: url.protocol === "rediss:",
    database: Number(database[1]),
    username: username === "" ? undefined : username,
    password: password === "" ? undefined : password,
    prefix: url.searchParams.get("prefix") ?? undefined
  })
}

const unescape = (text: string): string | undefined => Result.getOrUndefined(Result.try(() => decodeURIComponent(text)))

/** How messages name the server. */
export const show = ({ host, port }: Address): string => `Redis at ${host.includes(":") ? `[${host}]` : host}:${port}`

/** Where a node of a cluster that lacks the store's keys sends us; nothing if this is no such reply. */
export const movedTo = (from: Address, cause: unknown): Address | undefined => {
  if (!(cause instanceof ErrorReply)) return undefined
  const [, host = "", port] = /^MOVED \d+ (.*):(\d+)$/.exec(cause.message) ?? []
  return port === undefined ? undefined : { ...from, host: host === "" ? from.host : host, port: Number(port) }
}

/**
 * A client that connects once and never again by itself: with its own reconnecting it would hold commands back until the
 * server is there, however long that takes, and send those again whose reply it missed.
 */
export const clientOptions = (address: Address, connectTimeoutMillis: number) => {
  const { database, host, password, port, tls, username } = address
  return {
    socket: {
      host,
      port,
      connectTimeout: connectTimeoutMillis,
      reconnectStrategy: false as const,
      ...(tls ? { tls: true as const } : undefined)
    },
    database,
    ...(username === undefined ? undefined : { username }),
    ...(password === undefined ? undefined : { password }),
    // AUTH and SELECT say more clearly than HELLO what is wrong, and every server knows them.
    RESP: 2 as const,
    maintNotifications: "disabled" as const,
    disableOfflineQueue: true,
    disableClientInfo: true,
    // Ours is `Connection`'s: this one gives a command up only as long as it was not sent.
    commandOptions: { timeout: 0 }
  }
}
