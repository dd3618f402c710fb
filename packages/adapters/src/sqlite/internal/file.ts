import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Errors from "./errors.ts"
import { applicationId } from "./migrations.ts"
import * as Rows from "./rows.ts"

/**
 * How long the thread may be blocked by a lock that another process holds. Transactions take a millisecond or two, so
 * most locks are gone by then.
 */
export const busyTimeoutMillis = 20

/** A file up to this size is checked as a whole when it is opened, which takes some milliseconds. */
const checkedSize = 2 * 1024 * 1024

/** Makes the file where there is none, readable for this user alone. Returns what is in the way. */
export const ensure = (filename: string, path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return Errors.isDirectory(filename)
  if (found !== undefined && !found.isFile()) return Errors.notADatabase(filename)
  if (found === undefined) {
    makeFolder(dirname(path))
    unlessThere(path, () => closeSync(openSync(path, "wx", 0o600)))
  }
  // SQLite would open such a file all the same and fail at the first write, without saying why.
  accessSync(path, constants.R_OK | constants.W_OK)
  accessSync(dirname(path), constants.W_OK | constants.X_OK)
  return undefined
}

/** One folder after the other: in a place like /proc, where none can be made, Node's own `recursive` tries for ever. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  unlessThere(path, () => mkdirSync(path, { mode: 0o700 }))
}

/** Makes something, and leaves it at that when another process was faster. */
const unlessThere = (path: string, make: () => void) => {
  try {
    make()
  } catch (cause) {
    if (!existsSync(path)) throw cause
  }
}

/**
 * Looks at a file with a log beside it through a connection that cannot write, because one that can would write the log
 * into the file when it is closed. Not through a file handle of our own: closing one would drop the locks that this
 * process holds on the file (https://www.sqlite.org/howtocorrupt.html, section 2.2).
 */
export const inspectLog = (filename: string, path: string, known: number): string | undefined => {
  if (!existsSync(`${path}-wal`)) return undefined
  const db = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMillis })
  try {
    return identify(filename, db, known)
  } finally {
    db.close()
  }
}

/** Looks at the file itself; writes nothing, so that what is not ours stays as it is. */
export const inspect = (filename: string, path: string, db: DatabaseSync, known: number): string | undefined => {
  const { size } = statSync(path)
  // SQLite takes a file that is smaller than a page for an empty one, and would write over it.
  if (size > 0 && db.prepare("PRAGMA page_count").get()?.page_count === 0) return Errors.notADatabase(filename)
  const problem = identify(filename, db, known)
  if (problem !== undefined || size > checkedSize) return problem
  return db.prepare("PRAGMA quick_check(1)").get()?.quick_check === "ok" ? undefined : Errors.damaged(filename)
}

export const version = (db: DatabaseSync): number => Rows.int(db.prepare("PRAGMA user_version").get()?.user_version)

/**
 * Why this is no file for us, if it is none; an empty database is. All of it is read in one moment: between two of these
 * statements, another process can make an empty file one of ours, which would then look like somebody else's.
 */
export const identify = (filename: string, db: DatabaseSync, known: number): string | undefined => {
  if (db.isTransaction) return identifyNow(filename, db, known)
  db.exec("BEGIN")
  try {
    return identifyNow(filename, db, known)
  } finally {
    db.exec("ROLLBACK")
  }
}

const identifyNow = (filename: string, db: DatabaseSync, known: number): string | undefined => {
  const id = db.prepare("PRAGMA application_id").get()?.application_id
  const found = version(db)
  if (id === applicationId) return found > known ? Errors.newer(filename, found, known) : undefined
  const empty = id === 0 && found === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined
  return empty ? undefined : Errors.foreign(filename)
}
