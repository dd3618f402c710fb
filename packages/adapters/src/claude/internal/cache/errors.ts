import * as Schema from "effect/Schema"

/** What `node:sqlite` throws when SQLite itself reports an error. */
const isSqliteError = Schema.is(Schema.Struct({ code: Schema.Literal("ERR_SQLITE_ERROR"), errcode: Schema.Int }))

/** What Node throws when a file operation failed. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String }))

/** The primary result codes that we tell apart: https://www.sqlite.org/rescode.html */
const code = { busy: 5, locked: 6, readOnly: 8, io: 10, corrupt: 11, full: 13, protocol: 15, notADatabase: 26 } as const

/** The low byte: the rest only says how it came about. */
const primary = (cause: unknown): number | undefined => (isSqliteError(cause) ? cause.errcode & 0xff : undefined)

/** Whether another process held the lock: worth another try at once. */
export const isBusy = (cause: unknown): boolean => {
  const found = primary(cause)
  return found === code.busy || found === code.locked || found === code.protocol
}

/** What went wrong with the file, in a sentence for a person. */
export const describe = (filename: string, cause: unknown): string => {
  switch (primary(cause)) {
    case code.busy:
    case code.locked:
    case code.protocol:
      return `Another process keeps the response cache ${filename} locked: end that process.`
    case code.full:
      return full(filename)
    case code.readOnly:
      return unwritable(filename)
    case code.io:
      return `The disk that holds the response cache ${filename} reports an error: check the disk.`
    case code.corrupt:
      return damaged(filename)
    case code.notADatabase:
      return foreign(filename)
  }
  if (isNodeError(cause)) {
    switch (cause.code) {
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return unwritable(filename)
      case "ENOSPC":
        return full(filename)
    }
  }
  return `The response cache ${filename} cannot be opened: name another file, or check its folder and permissions.`
}

const full = (filename: string) => `No space is left on the disk that holds the response cache ${filename}: free some.`

const unwritable = (filename: string) =>
  `The response cache ${filename} cannot be written: give this user write permission for the file and its folder.`

export const damaged = (filename: string) => `The response cache ${filename} is damaged: delete the file.`

export const foreign = (filename: string) =>
  `The file ${filename} is no response cache of Baton's: name another file, or move this one away.`

export const newer = (filename: string) =>
  `The response cache ${filename} was written by a newer version of Baton: update Baton, or delete the file.`
