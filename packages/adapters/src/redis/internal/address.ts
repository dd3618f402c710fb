import { ErrorReply } from "@redis/client"
import * as Result from "effect/Result"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { unusable } from "./errors.ts"

/** The address of a store, as its URL names it. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly database: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly prefix: string | undefined
}

const expected = "redis://USER:PASSWORD@HOST:6379/0?prefix=NAME, or rediss:// for TLS"

/** Messages do not quote the URL, because it may contain a password. */
const invalid = (problem: string) =>
  Result.fail(unusable(`The URL of the Redis store ${problem}: it has to look like ${expected}.`))

export const parse = (text: string): Result.Result<Address, TaskStoreError> => {
  const url = URL.parse(text)
  if (url === null) return invalid("is not a URL")
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") return invalid("does not start with redis://")
  if (url.hostname === "") return invalid("has no host")
  const database = /^\/?(\d{0,9})$/.exec(url.pathname)
  if (database === null) return invalid("has a database that is not a number")
  const unknown = url.searchParams.keys().find((name) => name !== "prefix")
  if (unknown !== undefined) return invalid(`has the unknown parameter "${unknown}"`)
  const username = unescape(url.username)
  const password = unescape(url.password)
  if (username === undefined || password === undefined)
    return invalid("has a % in its user name or password that is not written as %25")
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

/** The server's name in messages. */
export const show = ({ host, port }: Address): string => `Redis at ${host.includes(":") ? `[${host}]` : host}:${port}`

/** Where a node of a cluster that does not have the store's keys redirects to; undefined for any other reply. */
export const movedTo = (from: Address, cause: unknown): Address | undefined => {
  if (!(cause instanceof ErrorReply)) return undefined
  const [, host = "", port] = /^MOVED \d+ (.*):(\d+)$/.exec(cause.message) ?? []
  return port === undefined ? undefined : { ...from, host: host === "" ? from.host : host, port: Number(port) }
}

/**
 * A client that connects once and does not reconnect: otherwise it would hold commands back until the server is there,
 * however long that takes, and send those again whose reply it missed.
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
    // The errors of AUTH and SELECT are clearer than those of HELLO, and every server has them.
    RESP: 2 as const,
    maintNotifications: "disabled" as const,
    disableOfflineQueue: true,
    disableClientInfo: true,
    // Its timeout covers only commands that are not sent yet; `Connection` has its own.
    commandOptions: { timeout: 0 }
  }
}
