import { ErrorReply, SocketClosedUnexpectedlyError } from "@redis/client"
import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import { formerVersions, schemaVersion } from "./lua/prelude.ts"

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

export const unavailable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unavailable", message, ...(cause === undefined ? undefined : { cause }) })

/** A reply that no script returns, because a value in the store was written by something else. */
export class UnreadableReply extends Schema.TaggedError<UnreadableReply>()("UnreadableReply", {
  message: Schema.String
}) {}

interface Context {
  /** The server's name in messages. */
  readonly server: string
  readonly prefix: string
  readonly database: number
}

/** An error of Node's, when it cannot reach a server. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String }))

/** The first word of an error reply, which is its kind. */
const kindOf = (cause: unknown): string =>
  cause instanceof ErrorReply ? (/^[A-Z]+/.exec(cause.message)?.[0] ?? "ERR") : ""

/** Whether the server refused the command with this kind of error. */
export const isReply = (cause: unknown, kind: string): boolean => kindOf(cause) === kind

export const fromCause = (context: Context, cause: unknown): TaskStoreError => {
  const { prefix, server } = context
  if (cause instanceof UnreadableReply) return unusable(unreadable(prefix, server), cause)
  if (cause instanceof ErrorReply) return fromReply(context, cause)
  return isNodeError(cause) ? fromNode(server, cause) : disconnected(server, cause)
}

export const disconnected = (server: string, cause?: unknown) =>
  unavailable(`The connection to ${server} broke: check that the server runs and the network is up.`, cause)

/** Whether the other side closed the connection without an error reply. */
export const isHangUp = (cause: unknown): boolean =>
  cause instanceof SocketClosedUnexpectedlyError || (isNodeError(cause) && cause.code === "ECONNRESET")

export const hungUp = (server: string, tls: boolean, cause: unknown) =>
  unavailable(
    `${server} closes new connections at once: check that it runs, and whether it ` +
      (tls
        ? "supports TLS (if not, start the URL with redis://)."
        : "requires TLS (if so, start the URL with rediss://)."),
    cause
  )

export const silent = (server: string, seconds: number) =>
  unavailable(`${server} did not answer within ${seconds} s: check its load and the network.`)

const fromReply = ({ database, prefix, server }: Context, cause: ErrorReply): TaskStoreError => {
  const { message } = cause
  switch (kindOf(cause)) {
    case "NOAUTH":
      return unusable(`${server} requires a password: add it to the URL, as in redis://:PASSWORD@HOST.`, cause)
    case "WRONGPASS":
      return unusable(`${server} does not accept this user name and password: correct them in the URL.`, cause)
    case "NOPERM":
      return unusable(denied(prefix, server, withoutKind(message)), cause)
    case "DENIED":
      return unusable(`${server} is in protected mode and refuses other machines: set a password on it.`, cause)
    case "BATONSCHEMA":
      return fromSchema(prefix, server, withoutKind(message), cause)
    case "WRONGTYPE":
      return unusable(foreign(prefix, server), cause)
    case "LOADING":
      return unavailable(loading(server), cause)
    case "BUSY":
      return unavailable(`${server} is busy with a long script: wait, or end it with SCRIPT KILL.`, cause)
    case "READONLY":
    case "MASTERDOWN":
      return unavailable(readOnly(server), cause)
    case "NOREPLICAS":
      return unavailable(`${server} has too few replicas to write (min-replicas-to-write): start them again.`, cause)
    case "MISCONF":
      return unavailable(
        `${server} cannot save to its disk and refuses writes: free some space and read its log.`,
        cause
      )
    case "OOM":
      return unavailable(`${server} is out of memory: raise its maxmemory, or prune tasks that have ended.`, cause)
    case "CLUSTERDOWN":
    case "MOVED":
    case "ASK":
    case "TRYAGAIN":
      return unavailable(`The cluster of ${server} is being rearranged: wait until it is done.`, cause)
  }
  if (message.includes("BATONVALUE")) return unusable(unreadable(prefix, server), cause)
  if (/user executing the script can't/.test(message)) {
    return unusable(denied(prefix, server, withoutKind(message)), cause)
  }
  if (/max number of clients/i.test(message)) {
    return unavailable(`${server} accepts no more connections: raise its maxclients, or end other clients.`, cause)
  }
  if (/without any password configured/.test(message)) {
    return unusable(`${server} has no password: remove it from the URL.`, cause)
  }
  if (/invalid password/.test(message)) {
    return unusable(`${server} does not accept this password: correct it in the URL.`, cause)
  }
  if (/DB index is out of range|SELECT is not allowed/.test(message)) {
    return unusable(`${server} has no database ${database}: name another at the end of the URL.`, cause)
  }
  return unusable(
    `${server} returned an unexpected error (${message}): check whether the store was changed by hand.`,
    cause
  )
}

const unreadable = (prefix: string, server: string) =>
  `The store "${prefix}" on ${server} holds a value that Baton cannot read: restore a backup, or delete that task.`

const denied = (prefix: string, server: string, what: string) =>
  `${server} denies this user what the store needs (${what}): give it the rights "~{${prefix}}:* ` +
  `&{${prefix}}:changes +@read +@write +@scripting +@pubsub +@connection +time +info".`

const withoutKind = (message: string) => message.slice(message.indexOf(" ") + 1)

const fromSchema = (prefix: string, server: string, found: string, cause: unknown) => {
  if (!/^\d+$/.test(found)) return unusable(foreign(prefix, server), cause)
  const what = `The store "${prefix}" on ${server} has schema ${found}, and this version of Baton reads schema ${schemaVersion}`
  if (formerVersions.some((version) => version === found)) {
    return unusable(`${what}: open it again, which migrates it.`, cause)
  }
  return Number(found) > Number(schemaVersion)
    ? unusable(`${what}: update Baton.`, cause)
    : unusable(`${what}: move its tasks to another store with the version that wrote it.`, cause)
}

const foreign = (prefix: string, server: string) =>
  `The keys {${prefix}}:* on ${server} do not belong to Baton: choose another prefix, as in redis://HOST?prefix=NAME.`

export const loading = (server: string) => `${server} is still loading its data: wait until it is done.`

export const readOnly = (server: string) =>
  `${server} is a replica, which accepts no writes: name the primary in the URL.`

export const evicting = (server: string, policy: string) =>
  `${server} evicts keys when its memory is full (maxmemory-policy ${policy}), and tasks with them: ` +
  "set its maxmemory-policy to noeviction."

export const notPersistent = (server: string) =>
  `${server} keeps no append-only file: a crash loses tasks and results since its last snapshot.`

export const enableAppendOnly = "Set its appendonly to yes."

export const missing = (prefix: string, server: string) =>
  `${server} has no store "${prefix}": check the URL, or add tasks first.`

const fromNode = (server: string, cause: { readonly code: string }): TaskStoreError => {
  switch (cause.code) {
    case "ECONNREFUSED":
      return unavailable(`${server} refuses connections: start it, or correct the URL.`, cause)
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unavailable(`The host name of ${server} cannot be resolved: correct the URL, or check the network.`, cause)
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
      return unavailable(`${server} cannot be reached: check the network.`, cause)
  }
  if (/^ERR_(TLS|SSL)|CERT|^EPROTO$|ISSUER|SELF_SIGNED/.test(cause.code)) {
    return unusable(
      `An encrypted connection to ${server} failed (${cause.code}): check that the URL has to start with rediss://, and ` +
        "that Node knows the certificate (NODE_EXTRA_CA_CERTS).",
      cause
    )
  }
  return disconnected(server, cause)
}
