import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Address } from "./address.ts"
import type { UnreadableRow } from "./rows.ts"

/** Where a store is. */
export interface Place extends Address {
  readonly schemaName: string
}

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

export const unavailable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unavailable", message, ...(cause === undefined ? undefined : { cause }) })

/** The store did not answer within the time it has; whether it did what it was asked is unknown. */
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

/** SQLSTATEs that we tell apart: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const code = {
  deadlock: "40P01",
  serialization: "40001",
  readOnly: "25006"
} as const

/** Whether another transaction was in the way: worth another try at once, because nothing was written. */
export const isConflict = (error: SqlError): boolean => {
  const found = codeOf(error)
  return found === code.deadlock || found === code.serialization
}

/** How the driver calls a server without TLS. */
const noTls = /does not support TLS/

/** How Node calls what is wrong with a certificate. */
const untrusted = /CERT|SIGNATURE|^ERR_TLS/

const isUntrusted = (error: SqlError): boolean =>
  error.reason.operation === "connect" && untrusted.test(codeOf(error) ?? detailOf(error))

/** The error for a person. */
export const fromDriver = (place: Place, error: SqlError | NoAnswer | UnreadableRow): TaskStoreError => {
  const { database, schemaName, server, user } = place
  switch (error._tag) {
    case "NoAnswer":
      return unavailable(`${server} does not answer: check the server and the network in between.`, error)
    case "UnreadableRow":
      return unusable(unreadable(place), error)
    case "SqlError":
      break
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
        `${server} has no database "${database}": create it with "createdb ${database}", or name another in the store's URL.`,
        error
      )
    case "42501":
      return unusable(
        `User "${user}" lacks rights for schema "${schemaName}" in database "${database}" (${detailOf(error)}): ` +
          `let its owner run GRANT CREATE ON DATABASE "${database}" TO "${user}", or grant what is missing.`,
        error
      )
    case "42P01":
    case "42703":
    case "3F000":
      return unusable(
        `The store in schema "${schemaName}" of database "${database}" is not as Baton made it (${detailOf(error)}): ` +
          "restore it from a backup, or name another schema.",
        error
      )
    case code.readOnly:
      return unavailable(standby(place), error)
    case "53100":
      return unavailable(`No space is left on the disk of ${server}: free some.`, error)
    case "53200":
      return unavailable(`${server} has run out of memory: give it more, or work with fewer tasks at a time.`, error)
    case "53300":
      return unavailable(
        `${server} has no connection left: raise its max_connections, or run fewer workers with fewer connections each.`,
        error
      )
    case "57014":
      return unavailable(
        `${server} took too long and was stopped: look for what slows it down or locks its tables.`,
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
        `${server} refuses the connection (${detailOf(error)}): if that is a pooler, add listen=false to the store's URL.`,
        error
      )
    case "26000":
    case "42P05":
      return unusable(
        `${server} mixes up the statements of its sessions (${detailOf(error)}), as a pooler does that lends them for a ` +
          "transaction: add listen=false to the store's URL.",
        error
      )
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unavailable(
        `The host of ${server} is not known: check the host in the store's URL, and the network.`,
        error
      )
    case "ECONNREFUSED":
    case "ENOENT":
      return unavailable(
        `${server} does not take connections: start the server, or check host and port in the store's URL.`,
        error
      )
  }
  if (error.reason.operation === "connect" && noTls.test(detailOf(error))) {
    return unusable(
      `${server} offers no encryption: set ssl to on there, or correct sslmode in the store's URL.`,
      error
    )
  }
  if (isUntrusted(error)) {
    return unusable(
      `${server} cannot be trusted (${detailOf(error)}): name its authority's file in NODE_EXTRA_CA_CERTS, or correct ` +
        "sslmode in the store's URL.",
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

/** Whether it would with encryption, the server does not say. */
const notAdmitted = ({ database, server, user }: Place, detail: string) =>
  `${server} does not let user "${user}" into database "${database}" from here (${detail}): add sslmode=require to the ` +
  "store's URL if it admits only encrypted connections, or add this user and machine to its pg_hba.conf."

const unreadable = ({ database, schemaName }: Place) =>
  `The store in schema "${schemaName}" of database "${database}" holds a value that cannot be read: restore it from a backup.`

export const notAUrl = "This is no URL of PostgreSQL's: write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE."

export const notAName = (name: string) => `${JSON.stringify(name)} is no name for a schema: it has 1 to 63 bytes.`

export const foreign = ({ database, schemaName }: Place) =>
  `Schema "${schemaName}" of database "${database}" holds tables that are not Baton's: name another schema.`

export const missing = ({ database, schemaName, server }: Place) =>
  `There is no store in schema "${schemaName}" of database "${database}" on ${server}: check the store's URL, or add tasks to make one.`

export const newer = ({ database, schemaName }: Place, found: number, known: number) =>
  `The store in schema "${schemaName}" of database "${database}" was written by a newer version of Baton ` +
  `(schema ${found}, this one knows ${known}): update Baton.`

export const standby = ({ server }: Place) =>
  `${server} takes no writes, as a standby does: name the primary in the store's URL, or wait until it is one.`

/** As PostgreSQL counts: 13.0. */
export const oldestVersion = 130_000

export const tooOld = ({ server }: Place, version: number) =>
  `${server} is of version ${Math.floor(version / 10_000)}: Baton needs PostgreSQL 13 or newer.`

export const notUtf8 = ({ database }: Place, encoding: string) =>
  `Database "${database}" keeps text as ${encoding}, which cannot hold all of it: create one with ENCODING 'UTF8'.`

export const contended = ({ server }: Place) => `${server} is busy: others keep changing the same tasks; try again.`

/** The longest key that PostgreSQL's indexes take is a third of a page. */
export const longestId = 2_000

export const idTooLong = (id: string) =>
  `The id ${JSON.stringify(`${id.slice(0, 40)}...`)} is too long for PostgreSQL: keep ids below ${longestId} bytes.`
