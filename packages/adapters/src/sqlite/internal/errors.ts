import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"

export const unusable = (message: string, cause?: unknown) =>
  new TaskStoreError({ reason: "Unusable", message, ...(cause === undefined ? undefined : { cause }) })

const unavailable = (message: string, cause: unknown) => new TaskStoreError({ reason: "Unavailable", message, cause })

/** What `node:sqlite` throws when SQLite itself reports an error. */
const SqliteError = Schema.Struct({
  code: Schema.Literal("ERR_SQLITE_ERROR"),
  errcode: Schema.Int,
  message: Schema.String
})
const isSqliteError = Schema.is(SqliteError)

/** What Node throws when the database was closed, or a file operation failed. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String, message: Schema.String }))

/** The primary result codes that we tell apart: https://www.sqlite.org/rescode.html */
const code = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  protocol: 15,
  notADatabase: 26
} as const

/** The low byte: the rest only says how it came about. */
const primary = (cause: unknown): number | undefined => (isSqliteError(cause) ? cause.errcode & 0xff : undefined)

/** Whether another connection held the lock: worth another try at once. */
export const isBusy = (error: TaskStoreError): boolean => {
  const found = primary(error.cause)
  return found === code.busy || found === code.locked || found === code.protocol
}

/** A value in the file that no version of Baton writes. */
export class UnreadableRow extends Schema.TaggedError<UnreadableRow>()("UnreadableRow", { message: Schema.String }) {}

/** The error for a person, or `undefined` when this is no error of SQLite or of the file but a bug of ours. */
export const fromCause = (filename: string, cause: unknown): TaskStoreError | undefined => {
  if (cause instanceof UnreadableRow || Schema.isSchemaError(cause)) {
    return unusable(`The store ${filename} holds a value that cannot be read: restore it from a backup.`, cause)
  }
  switch (primary(cause)) {
    case code.busy:
    case code.locked:
    case code.protocol:
      return unavailable(`Another process keeps the store ${filename} locked: try again, or end that process.`, cause)
    case code.full:
      return unavailable(`No space is left on the disk that holds the store ${filename}: free some.`, cause)
    case code.readOnly:
      return unusable(readOnly(filename), cause)
    case code.io:
      return unusable(`The disk that holds the store ${filename} reports an error: check the disk.`, cause)
    case code.corrupt:
      return unusable(damaged(filename), cause)
    case code.cannotOpen:
      return unusable(`The store ${filename} cannot be opened: check its folder and permissions.`, cause)
    case code.notADatabase:
      return unusable(notADatabase(filename), cause)
  }
  if (isSqliteError(cause)) {
    return unusable(
      `The store ${filename} does not work as expected (${cause.message}): was it changed by hand?`,
      cause
    )
  }
  if (isNodeError(cause)) {
    switch (cause.code) {
      case "ERR_INVALID_STATE":
        return unusable(`The store ${filename} is closed already.`, cause)
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return unusable(readOnly(filename), cause)
      case "ENOSPC":
        return unavailable(`No space is left on the disk that holds the store ${filename}: free some.`, cause)
      case "ENOTDIR":
      case "EEXIST":
        return unusable(`The folder of the store ${filename} cannot be made, because a file is in its way.`, cause)
      case "ENAMETOOLONG":
      case "ENOENT":
      case "ELOOP":
      case "EINVAL":
      case "ERR_INVALID_ARG_VALUE":
        return unusable(`The store ${filename} cannot be in that place: name another file.`, cause)
    }
  }
  return undefined
}

export const damaged = (filename: string) =>
  `The store ${filename} is damaged: restore it from a backup, or save what is left with "sqlite3 ${filename} .recover".`

export const readOnly = (filename: string) =>
  `The store ${filename} cannot be written: give this user write permission for the file and its folder.`

export const notADatabase = (filename: string) =>
  `The file ${filename} is not a database: name another file, or move this one away.`

export const foreign = (filename: string) =>
  `The file ${filename} is a database, but not one of Baton's: name another file.`

export const newer = (filename: string, found: number, known: number) =>
  `The store ${filename} was written by a newer version of Baton (schema ${found}, this one knows ${known}): update Baton.`

export const isDirectory = (filename: string) => `${filename} is a folder: name a file for the store.`

export const noWal = (filename: string) =>
  `The file system of the store ${filename} lacks the shared memory that SQLite needs: put the store on a local disk.`
