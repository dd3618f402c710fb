import { ErrorReply, SocketClosedUnexpectedlyError } from "@redis/client"
import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import { schemaVersion } from "./lua/prelude.ts"

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

export const unavailable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unavailable", message, ...(cause === undefined ? undefined : { cause }) })

/** A value in the store that no version of Baton writes. */
export class UnreadableReply extends Schema.TaggedError<UnreadableReply>()("UnreadableReply", {
  message: Schema.String
}) {}

interface Context {
  /** How messages name the server. */
  readonly server: string
  readonly prefix: string
  readonly database: number
}

/** What Node fails with when it cannot reach a server. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String }))

/** The first word of what a server refuses a command with, which tells the kind. */
const kindOf = (cause: unknown): string =>
  cause instanceof ErrorReply ? (/^[A-Z]+/.exec(cause.message)?.[0] ?? "ERR") : ""

/** Whether the server refused the command with this kind of error. */
export const isReply = (cause: unknown, kind: string): boolean => kindOf(cause) === kind

export const fromCause = (context: Context, cause: unknown): TaskStoreError => {
  const { prefix, server } = context
  if (cause instanceof UnreadableReply || Schema.isSchemaError(cause)) {
    return unusable(unreadable(prefix, server), cause)
  }
  if (cause instanceof ErrorReply) return fromReply(context, cause)
  return isNodeError(cause) ? fromNode(server, cause) : disconnected(server, cause)
}

export const disconnected = (server: string, cause?: unknown) =>
  unavailable(`The connection to ${server} broke: check that the server runs and the network is up.`, cause)

/** Whether the other side ended the connection without a word. */
export const isHangUp = (cause: unknown): boolean =>
  cause instanceof SocketClosedUnexpectedlyError || (isNodeError(cause) && cause.code === "ECONNRESET")

export const hungUp = (server: string, tls: boolean, cause: unknown) =>
  unavailable(
    `${server} hangs up as soon as it is called: check that it runs, and whether it ` +
      (tls ? "knows TLS (else the URL has to say redis://)." : "wants TLS (then the URL has to say rediss://)."),
    cause
  )

export const silent = (server: string, seconds: number) =>
  unavailable(`${server} did not answer within ${seconds} s: check its load and the network.`)

const fromReply = ({ database, prefix, server }: Context, cause: ErrorReply): TaskStoreError => {
  const { message } = cause
  switch (kindOf(cause)) {
    case "NOAUTH":
      return unusable(`${server} asks for a password: put it into the URL, as in redis://:PASSWORD@HOST.`, cause)
    case "WRONGPASS":
      return unusable(`${server} does not accept this user name and password: correct them in the URL.`, cause)
    case "NOPERM":
      return unusable(denied(prefix, server, withoutKind(message)), cause)
    case "DENIED":
      return unusable(`${server} is in protected mode and refuses other machines: set a password there.`, cause)
    case "BATONSCHEMA":
      return fromSchema(prefix, server, withoutKind(message), cause)
    case "WRONGTYPE":
      return unusable(foreign(prefix, server), cause)
    case "LOADING":
      return unavailable(loading(server), cause)
    case "BUSY":
      return unavailable(`${server} is busy with somebody's long script: wait, or end it with SCRIPT KILL.`, cause)
    case "READONLY":
    case "MASTERDOWN":
      return unavailable(readOnly(server), cause)
    case "NOREPLICAS":
      return unavailable(`${server} has too few replicas to write (min-replicas-to-write): bring them back.`, cause)
    case "MISCONF":
      return unavailable(
        `${server} cannot save to its disk and takes no writes: free some space and see its log.`,
        cause
      )
    case "OOM":
      return unavailable(`${server} is out of memory: raise its maxmemory, or prune tasks that are done.`, cause)
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
    return unavailable(`${server} has no connection left: raise its maxclients, or end other clients.`, cause)
  }
  if (/without any password configured/.test(message)) {
    return unusable(`${server} asks for no password: take it out of the URL.`, cause)
  }
  if (/invalid password/.test(message)) {
    return unusable(`${server} does not accept this password: correct it in the URL.`, cause)
  }
  if (/DB index is out of range|SELECT is not allowed/.test(message)) {
    return unusable(`${server} has no database ${database}: name another at the end of the URL.`, cause)
  }
  return unusable(`${server} does not work as expected (${message}): was the store changed by hand?`, cause)
}

const unreadable = (prefix: string, server: string) =>
  `The store "${prefix}" on ${server} holds a value that cannot be read: restore it from a backup.`

const denied = (prefix: string, server: string, what: string) =>
  `${server} denies this user what the store needs (${what}): give it the rights "~{${prefix}}:* ` +
  `&{${prefix}}:changes +@read +@write +@scripting +@pubsub +@connection +time +info".`

const withoutKind = (message: string) => message.slice(message.indexOf(" ") + 1)

const fromSchema = (prefix: string, server: string, found: string, cause: unknown) =>
  /^\d+$/.test(found) && Number(found) > Number(schemaVersion)
    ? unusable(
        `The store "${prefix}" on ${server} was written by a newer version of Baton ` +
          `(schema ${found}, this one knows ${schemaVersion}): update Baton.`,
        cause
      )
    : unusable(foreign(prefix, server), cause)

const foreign = (prefix: string, server: string) =>
  `The keys {${prefix}}:* on ${server} are not Baton's: name another prefix, as in redis://HOST?prefix=NAME.`

export const loading = (server: string) => `${server} is still loading its data: wait until it is done.`

export const readOnly = (server: string) =>
  `${server} is a replica, which takes no writes: name the primary in the URL.`

export const evicting = (server: string, policy: string) =>
  `${server} drops keys when its memory is full (maxmemory-policy ${policy}), and tasks with them: ` +
  "set maxmemory-policy to noeviction there."

export const missing = (prefix: string, server: string) =>
  `There is no store "${prefix}" on ${server}: check the URL, or bring tasks first.`

const fromNode = (server: string, cause: { readonly code: string }): TaskStoreError => {
  switch (cause.code) {
    case "ECONNREFUSED":
      return unavailable(`Nothing answers as ${server}: start it, or correct the URL.`, cause)
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unavailable(`The host of ${server} is not known here: correct the URL, or check the network.`, cause)
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
      return unavailable(`There is no way to ${server}: check the network.`, cause)
  }
  if (/^ERR_(TLS|SSL)|CERT|^EPROTO$|ISSUER|SELF_SIGNED/.test(cause.code)) {
    return unusable(
      `No encrypted connection to ${server} is possible (${cause.code}): is the URL right to say rediss://, and the ` +
        "certificate one that Node knows (NODE_EXTRA_CA_CERTS)?",
      cause
    )
  }
  return disconnected(server, cause)
}
