import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { TaskStoreError } from "@baton/core/TaskStoreError"

/** A database as messages name it. It holds no password. */
export interface Address {
  /** As in `PostgreSQL at 127.0.0.1:5432`. */
  readonly server: string
  readonly database: string
  readonly user: string
}

/** The place of a store. */
export interface Place extends Address {
  readonly schemaName: string
}

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

export const unavailable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unavailable", message, ...(cause === undefined ? undefined : { cause }) })

/** The server did not answer in time. It may have carried out the statement. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { millis: Schema.Number }) {
  override get message(): string {
    return `no answer for ${this.millis} ms`
  }
}

const hasCode = Schema.is(Schema.Struct({ code: Schema.String }))
const hasMessage = Schema.is(Schema.Struct({ message: Schema.String }))

/** The SQLSTATE that the server sent, or the code of the socket's error. */
export const codeOf = ({ reason }: SqlError): string | undefined =>
  hasCode(reason.cause) ? reason.cause.code : undefined

const detailOf = ({ reason }: SqlError): string =>
  hasMessage(reason.cause) && reason.cause.message !== "" ? reason.cause.message : reason._tag

/** SQLSTATEs with their own treatment: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const code = {
  deadlock: "40P01",
  serialization: "40001",
  readOnly: "25006"
} as const

/** Whether another transaction was in the way. Nothing was written, so another attempt at once is worthwhile. */
export const isConflict = (error: SqlError): boolean => {
  const found = codeOf(error)
  return found === code.deadlock || found === code.serialization
}

/** The driver's message for a server without TLS. */
const noTls = /does not support TLS/

/** Node's codes for a problem with a certificate. */
const untrusted = /CERT|SIGNATURE|^ERR_TLS/

const isUntrusted = (error: SqlError): boolean =>
  error.reason.operation === "connect" && untrusted.test(codeOf(error) ?? detailOf(error))

/** The error as a person reads it. */
export const fromDriver = (place: Place, error: SqlError | NoAnswer): TaskStoreError => {
  const { database, schemaName, server, user } = place
  if (error._tag === "NoAnswer") {
    return unavailable(`${server} does not answer: check the server and the network.`, error)
  }
  const found = codeOf(error)
  if (found === "28000" && detailOf(error).includes("pg_hba.conf")) {
    return unusable(notAdmitted(place, detailOf(error)), error)
  }
  switch (found) {
    case "28P01":
    case "28000":
      return unusable(
        `${server} refused user "${user}": check the user name and the password in the store's URL.`,
        error
      )
    case "3D000":
      return unusable(
        `${server} has no database "${database}": create it with "createdb ${database}", or name another one in the store's URL.`,
        error
      )
    case "42501":
      return unusable(
        `User "${user}" lacks rights for schema "${schemaName}" in database "${database}" (${detailOf(error)}): ` +
          `let its owner run GRANT CREATE ON DATABASE "${database}" TO "${user}", or grant the missing rights.`,
        error
      )
    case "42P01":
    case "42703":
    case "3F000":
      return unusable(damaged(place, detailOf(error)), error)
    case code.readOnly:
      return unavailable(standby(place), error)
    case "53100":
      return unavailable(`The disk of ${server} is full: free some space.`, error)
    case "53200":
      return unavailable(`${server} is out of memory: give it more, or work on fewer tasks at a time.`, error)
    case "53300":
      return unavailable(
        `${server} has no connection left: raise its max_connections, or run fewer workers with fewer connections each.`,
        error
      )
    case "57014":
      return unavailable(
        `${server} took too long and stopped the statement: find out why it is slow, or which session locks the tables.`,
        error
      )
    case "57P01":
    case "57P02":
    case "57P03":
      return unavailable(`${server} is restarting.`, error)
    case "54000":
    case "54001":
      return unusable(`A value is too large for PostgreSQL (${detailOf(error)}): make it smaller.`, error)
    case "08P01":
      return unusable(
        `${server} refused the connection (${detailOf(error)}): if it is a pooler, add listen=false to the store's URL.`,
        error
      )
    case "26000":
    case "42P05":
      return unusable(
        `${server} mixes up the statements of its sessions (${detailOf(error)}), as a pooler in transaction mode does: ` +
          "add listen=false to the store's URL.",
        error
      )
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unavailable(`The host of ${server} is unknown: check the host in the store's URL, and the network.`, error)
    case "ECONNREFUSED":
    case "ENOENT":
      return unavailable(
        `${server} does not accept connections: start the server, or check the host and the port in the store's URL.`,
        error
      )
  }
  if (error.reason.operation === "connect" && noTls.test(detailOf(error))) {
    return unusable(
      `${server} offers no encryption: set ssl to on there, or correct sslmode in the store's URL.`,
      error
    )
  }
  if (error.reason.operation === "connect" && detailOf(error).includes("No username")) {
    return unusable(
      `The store's URL names no user for ${server}: write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE.`,
      error
    )
  }
  if (isUntrusted(error)) {
    return unusable(
      `${server} cannot be trusted (${detailOf(error)}): set NODE_EXTRA_CA_CERTS to the certificate of its authority, or ` +
        "correct sslmode in the store's URL.",
      error
    )
  }
  switch (error.reason._tag) {
    case "ConnectionError":
      return unavailable(`The connection to ${server} was lost (${detailOf(error)}).`, error)
    case "AuthenticationError":
      return unusable(
        `${server} and user "${user}" do not agree on a password (${detailOf(error)}): check the store's URL.`,
        error
      )
    case "DeadlockError":
    case "SerializationError":
    case "LockTimeoutError":
    case "StatementTimeoutError":
      return unavailable(`${server} is busy (${detailOf(error)}): try again.`, error)
    default:
      return unusable(
        `The store in schema "${schemaName}" of database "${database}" does not work as expected (${detailOf(error)}).`,
        error
      )
  }
}

/** The server does not say whether it would admit the user on an encrypted connection. */
const notAdmitted = ({ database, server, user }: Place, detail: string) =>
  `${server} does not let user "${user}" into database "${database}" from here (${detail}): add sslmode=require to the ` +
  "store's URL if it admits only encrypted connections, or add this user and machine to its pg_hba.conf."

export const damaged = ({ database, schemaName }: Place, detail: string) =>
  `The store in schema "${schemaName}" of database "${database}" is not as Baton made it (${detail}): restore it from a ` +
  "backup, or name another schema."

export const notAUrl = "Not a PostgreSQL URL: write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE."

export const notAName = (name: string) => `${JSON.stringify(name)} is not a valid schema name: use 1 to 63 bytes.`

export const foreign = ({ database, schemaName }: Place) =>
  `Schema "${schemaName}" of database "${database}" holds tables that do not belong to Baton: name another schema.`

export const missing = ({ database, schemaName, server }: Place) =>
  `There is no store in schema "${schemaName}" of database "${database}" on ${server}: check the store's URL, or add tasks to create one.`

export const newer = ({ database, schemaName }: Place, found: number, known: number) =>
  `The store in schema "${schemaName}" of database "${database}" was written by a newer version of Baton ` +
  `(schema ${found}; this version knows ${known}): update Baton.`

export const standby = ({ server }: Place) =>
  `${server} accepts no writes, as a standby does: name the primary in the store's URL, or wait until it is promoted.`

/** In PostgreSQL's notation: 13.0. */
export const oldestVersion = 130_000

export const tooOld = ({ server }: Place, version: number) =>
  `${server} has version ${Math.floor(version / 10_000)}: Baton needs PostgreSQL 13 or newer.`

export const notUtf8 = ({ database }: Place, encoding: string) =>
  `Database "${database}" stores text as ${encoding}, which cannot hold every text: create one with ENCODING 'UTF8'.`

export const contended = ({ server }: Place) =>
  `${server} is busy: other processes keep changing the same tasks; try again.`
