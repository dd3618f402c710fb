/**
 * Opens the SQLite files that Baton keeps: the task store, the response cache and the batch journal.
 *
 * A file that Baton did not write stays unchanged. A file is recognised by its `application_id`, its schema by
 * `user_version`. Every failure is one error whose message names the file, the problem and the remedy.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { DatabaseSync, type DatabaseSyncOptions, type StatementSync } from "node:sqlite"

/** What kind of file it is. */
export interface Format {
  /** The kind of file, as messages name it: `store`, `response cache`. */
  readonly label: string
  /** https://www.sqlite.org/pragma.html#pragma_application_id */
  readonly applicationId: number
  /** The newest schema that this code knows, kept in `user_version`. */
  readonly version: number
  /** Brings the schema from version `from` (0 for an empty file) to `version`, inside a write transaction. */
  readonly migrate: (db: DatabaseSync, from: number) => void
  /** What a person can do about a damaged file, as the end of a sentence. */
  readonly ifDamaged: (filename: string) => string
}

export interface Settings {
  readonly filename: string
  readonly format: Format
  /** Set on the connection after the file was recognised, such as `PRAGMA synchronous = FULL`. */
  readonly pragmas: string
  /** Refuses a file system without the shared memory that a write-ahead log needs. Default false. */
  readonly requireWal?: boolean | undefined
  /** How long a locked file may block the thread, in milliseconds. Default 20. */
  readonly busyTimeoutMillis?: number | undefined
}

/** A connection to a file. */
export interface Connection {
  readonly db: DatabaseSync
  /** The absolute path. */
  readonly path: string
  /**
   * Runs a synchronous body and translates the errors of SQLite and of files. Any other error is a bug, and a defect.
   * It runs the body once: retry with `whileLocked` when the body has no other effects.
   */
  readonly attempt: <A>(body: () => A) => Effect.Effect<A, SqliteFileError>
}

/** A connection that can write. */
export interface SqliteFile extends Connection {
  /**
   * Runs a body in a write transaction: all or nothing, and as durable as the connection's `synchronous` says. Rolls back
   * when the body throws, and when `commitIf` rejects its result.
   */
  readonly transact: <A>(body: () => A, commitIf?: (result: A) => boolean) => A
  /** Runs a body in a read transaction: all of its statements see the file at one moment. */
  readonly snapshot: <A>(body: () => A) => A
}

const problems = [
  "Locked",
  "DiskFull",
  "ReadOnly",
  "DiskError",
  "Damaged",
  "NotADatabase",
  "Foreign",
  "Newer",
  "Directory",
  "BlockedFolder",
  "InvalidPlace",
  "CannotOpen",
  "NoWal",
  "Closed",
  "UnreadableValue",
  "Unexpected"
] as const

export type Problem = (typeof problems)[number]

/** A SQLite file that cannot be opened, read or written. */
export class SqliteFileError extends Schema.TaggedError<SqliteFileError>()("SqliteFileError", {
  problem: Schema.Literals(problems),
  /** One sentence: the problem, then the remedy after a colon. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Retries while another process holds the lock, for up to five seconds; other fibers run meanwhile. */
export const whileLocked = {
  schedule: Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("50 millis")]).pipe(
    Schedule.jittered,
    Schedule.upTo({ duration: "5 seconds" })
  ),
  while: ({ problem }: SqliteFileError): boolean => problem === "Locked"
}

/**
 * Opens a file, and creates it where there is none, readable for this user alone. The file has a write-ahead log and the
 * newest schema when this returns. It is closed with the scope. A file on a read-only file system can only be read: writes
 * fail as `ReadOnly`.
 */
export const open = Effect.fnUntraced(function* (
  settings: Settings
): Effect.fn.Return<SqliteFile, SqliteFileError, Scope.Scope> {
  const { filename, format, pragmas, requireWal = false } = settings
  const path = resolve(filename)
  const timeout = settings.busyTimeoutMillis ?? defaultBusyTimeoutMillis
  const attempt = attemptOn(format, filename)
  const step = <A>(body: () => A) => Effect.retry(attempt(body), whileLocked)
  const check = (find: () => SqliteFileError | undefined) =>
    Effect.flatMap(step(find), (error) => (error === undefined ? Effect.void : Effect.fail(error)))

  const connectWritable = Effect.gen(function* () {
    yield* check(() => {
      if (statSync(path, { throwIfNoEntry: false }) === undefined) create(path)
      return inspectPlace(format, filename)
    })
    // A connection that can write would write the log into the file when it is closed. A file handle would not do: closing
    // one drops the locks that this process holds on the file (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    if (existsSync(`${path}-wal`)) {
      yield* openReadOnly(format, filename, timeout).pipe(
        Effect.flatMap(({ db }) => check(() => identify(format, filename, db))),
        Effect.scoped
      )
    }
    // The last connection to close writes the log back into the file and removes it.
    const db = yield* connect(step, path, { timeout })
    yield* check(() => inspect(format, filename, path, db))
    yield* check(() => {
      const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode
      if (mode !== "wal" && requireWal) return failure(format, filename, "NoWal")
      // The log grows with the largest write; the limit returns the space afterwards.
      db.exec(`PRAGMA journal_size_limit = 67108864; ${pragmas}`)
      return undefined
    })
    return db
  })

  /** A file that no process can change: SQLite reads it without the files that it would create next to it. */
  const connectFixed = Effect.gen(function* () {
    const db = yield* connect(step, Object.assign(pathToFileURL(path), { search: "?immutable=1" }), { readOnly: true })
    yield* check(() => {
      // The changes in the log would be missing.
      const hasLog = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
      return hasLog ? failure(format, filename, "ReadOnly") : identify(format, filename, db)
    })
    return db
  })

  const isFixed = yield* step(() => isOnReadOnlyFileSystem(path))
  const db = isFixed ? yield* connectFixed : yield* connectWritable
  const begin = db.prepare("BEGIN")
  // Takes the write lock first: a transaction that reads first may find it taken when it writes.
  const beginWrite = db.prepare("BEGIN IMMEDIATE")
  const commit = db.prepare("COMMIT")
  const rollback = db.prepare("ROLLBACK")
  const within = <A>(start: StatementSync, body: () => A, commitIf: (result: A) => boolean): A => {
    start.run()
    try {
      const result = body()
      const end = commitIf(result) ? commit : rollback
      end.run()
      return result
    } catch (cause) {
      // After some errors, such as a full disk, SQLite has rolled back already.
      if (db.isTransaction) rollback.run()
      throw cause
    }
  }
  const transact: SqliteFile["transact"] = (body, commitIf = always) => within(beginWrite, body, commitIf)
  yield* check(() => {
    if (versionOf(db) === format.version) return undefined
    return transact(() => {
      // Checked again, now that no other process can change the file.
      const error = identify(format, filename, db)
      const from = versionOf(db)
      if (error !== undefined || from === format.version) return error
      format.migrate(db, from)
      db.exec(`PRAGMA application_id = ${format.applicationId}; PRAGMA user_version = ${format.version}`)
      return undefined
    })
  })
  return { db, path, attempt, transact, snapshot: (body) => within(begin, body, always) }
})

const always = () => true

/** Opens a file that exists, without inspecting it, on a connection that cannot write. It is closed with the scope. */
export const openReadOnly = (
  format: Pick<Format, "ifDamaged" | "label">,
  filename: string,
  timeout = defaultBusyTimeoutMillis
): Effect.Effect<Connection, SqliteFileError, Scope.Scope> => {
  const path = resolve(filename)
  const attempt = attemptOn(format, filename)
  return Effect.map(connect(attempt, path, { readOnly: true, timeout }), (db) => ({ db, path, attempt }))
}

/**
 * Locks a file for this process until the scope is closed or the process ends. The lock is in a separate file next to it,
 * so that others can still read it. Fails as `Locked` when another process has the lock.
 */
export const lock = (
  format: Pick<Format, "ifDamaged" | "label">,
  filename: string
): Effect.Effect<void, SqliteFileError, Scope.Scope> => {
  const path = `${resolve(filename)}-lock`
  const attempt = attemptOn(format, filename)
  return attempt(() => create(path)).pipe(
    Effect.andThen(connect(attempt, path, { timeout: 0 })),
    // The operating system ends a transaction with its process.
    Effect.flatMap((db) => attempt(() => db.exec("BEGIN EXCLUSIVE")))
  )
}

const connect = (
  attempt: Connection["attempt"],
  path: string | URL,
  options: DatabaseSyncOptions
): Effect.Effect<DatabaseSync, SqliteFileError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(() => new DatabaseSync(path, options)),
    (db) => Effect.sync(() => db.close())
  )

/** Runs a synchronous body on a file and translates its errors. */
export const attemptOn =
  (format: Pick<Format, "ifDamaged" | "label">, filename: string) =>
  <A>(body: () => A): Effect.Effect<A, SqliteFileError> =>
    Effect.suspend(() => {
      try {
        return Effect.succeed(body())
      } catch (cause) {
        if (cause instanceof SqliteFileError) return Effect.fail(cause)
        const problem = problemOf(cause)
        return problem === undefined ? Effect.die(cause) : Effect.fail(failure(format, filename, problem, cause))
      }
    })

/** The schema version of a file. */
export const versionOf = (db: DatabaseSync): number => Number(db.prepare("PRAGMA user_version").get()?.user_version)

/**
 * Why a file is not of this format; undefined when it is, or is empty. All of it is read from one snapshot: between two
 * statements, another process can turn an empty file into one of this format.
 */
export const identify = (format: Format, filename: string, db: DatabaseSync): SqliteFileError | undefined => {
  if (db.isTransaction) return identifyNow(format, filename, db)
  db.exec("BEGIN")
  try {
    return identifyNow(format, filename, db)
  } finally {
    db.exec("ROLLBACK")
  }
}

const identifyNow = (format: Format, filename: string, db: DatabaseSync): SqliteFileError | undefined => {
  const id = db.prepare("PRAGMA application_id").get()?.application_id
  const version = versionOf(db)
  if (id === format.applicationId) return version > format.version ? failure(format, filename, "Newer") : undefined
  const isEmpty = id === 0 && version === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined
  return isEmpty ? undefined : failure(format, filename, "Foreign")
}

/** The error for a problem, with its message. */
export const failure = (
  format: Pick<Format, "ifDamaged" | "label">,
  filename: string,
  problem: Problem,
  cause?: unknown
): SqliteFileError =>
  new SqliteFileError({
    problem,
    message: messageOf(format, filename, problem, cause),
    ...(cause === undefined ? undefined : { cause })
  })

const messageOf = (
  { ifDamaged, label }: Pick<Format, "ifDamaged" | "label">,
  filename: string,
  problem: Problem,
  cause: unknown
): string => {
  const file = `${label} ${filename}`
  switch (problem) {
    case "Locked":
      return `Another process keeps the ${file} locked: try again, or end that process.`
    case "DiskFull":
      return `No space is left on the disk that holds the ${file}: free some.`
    case "ReadOnly":
      return `The ${file} cannot be written: give this user write permission for the file and its folder.`
    case "DiskError":
      return `The disk that holds the ${file} reports an error: check the disk.`
    case "Damaged":
      return `The ${file} is damaged: ${ifDamaged(filename)}.`
    case "NotADatabase":
      return `The file ${filename} is not a database: name another file, or move this one away.`
    case "Foreign":
      return `The file ${filename} is a database, but not a ${label} of Baton: name another file, or move this one away.`
    case "Newer":
      return `The ${file} was written by a newer version of Baton: update Baton.`
    case "Directory":
      return `${filename} is a folder: name a file for the ${label}.`
    case "BlockedFolder":
      return `The folder of the ${file} cannot be created, because a file is in its way: name another file.`
    case "InvalidPlace":
      return `The ${file} cannot be in that place: name another file.`
    case "CannotOpen":
      return `The ${file} cannot be opened: check its folder and permissions.`
    case "NoWal":
      return `The file system of the ${file} lacks the shared memory that SQLite needs: use a local disk.`
    case "Closed":
      return `The ${file} is already closed: open it again.`
    case "UnreadableValue":
      return `The ${file} holds a value that cannot be read: ${ifDamaged(filename)}.`
    case "Unexpected":
      return `The ${file} does not work as expected (${isSqliteError(cause) ? cause.message : "unknown error"}): was it changed by hand?`
  }
}

/** What `node:sqlite` throws when SQLite reports an error. */
const isSqliteError = Schema.is(
  Schema.Struct({ code: Schema.Literal("ERR_SQLITE_ERROR"), errcode: Schema.Int, message: Schema.String })
)

/** What Node throws when a file operation failed or the connection is closed. */
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String }))

/** By primary result code: https://www.sqlite.org/rescode.html */
const byResultCode = new Map<number, Problem>([
  [5, "Locked"],
  [6, "Locked"],
  [8, "ReadOnly"],
  [10, "DiskError"],
  [11, "Damaged"],
  [13, "DiskFull"],
  [14, "CannotOpen"],
  [15, "Locked"],
  [26, "NotADatabase"]
])

const byNodeCode = new Map<string, Problem>([
  ["ERR_INVALID_STATE", "Closed"],
  ["EACCES", "ReadOnly"],
  ["EPERM", "ReadOnly"],
  ["EROFS", "ReadOnly"],
  ["ENOSPC", "DiskFull"],
  ["ENOTDIR", "BlockedFolder"],
  ["EEXIST", "BlockedFolder"],
  ["ENAMETOOLONG", "InvalidPlace"],
  ["ENOENT", "InvalidPlace"],
  ["ELOOP", "InvalidPlace"],
  ["EINVAL", "InvalidPlace"],
  ["ERR_INVALID_ARG_VALUE", "InvalidPlace"]
])

/** Undefined for a bug, which is not an error of SQLite or of the file. */
const problemOf = (cause: unknown): Problem | undefined => {
  // The low byte; the rest of the code only gives details.
  if (isSqliteError(cause)) return byResultCode.get(cause.errcode & 0xff) ?? "Unexpected"
  if (Schema.isSchemaError(cause)) return "UnreadableValue"
  return isNodeError(cause) ? byNodeCode.get(cause.code) : undefined
}

/** Most transactions take a millisecond or two, so most locks are released by then. */
const defaultBusyTimeoutMillis = 20

/** A file up to this size is checked as a whole when it is opened, which takes a few milliseconds. */
const checkedSize = 2 * 1024 * 1024

/** Why the file cannot be in this place; undefined also when the file does not exist. */
export const inspectPlace = (format: Format, filename: string): SqliteFileError | undefined => {
  const path = resolve(filename)
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  if (found.isDirectory()) return failure(format, filename, "Directory")
  if (!found.isFile()) return failure(format, filename, "NotADatabase")
  // SQLite opens a file that it cannot write, and fails at the first write without the reason.
  accessSync(path, constants.R_OK | constants.W_OK)
  accessSync(dirname(path), constants.W_OK | constants.X_OK)
  return undefined
}

/** Whether the file exists on a file system that is mounted for reading only. */
const isOnReadOnlyFileSystem = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (cause) {
    return isNodeError(cause) && cause.code === "EROFS"
  }
}

/** Creates an empty file, readable for this user alone, and the folders above it. An existing file stays unchanged. */
const create = (path: string): void => {
  makeFolder(dirname(path))
  unlessExists(path, () => closeSync(openSync(path, "wx", 0o600)))
}

/** One folder at a time: in a place like /proc, where a folder cannot be created, Node's own `recursive` never returns. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  unlessExists(path, () => mkdirSync(path, { mode: 0o700 }))
}

/** Creates something, and accepts that another process was faster. */
const unlessExists = (path: string, make: () => void) => {
  try {
    make()
  } catch (cause) {
    if (!existsSync(path)) throw cause
  }
}

/** Inspects the file without writing to it. */
const inspect = (format: Format, filename: string, path: string, db: DatabaseSync): SqliteFileError | undefined => {
  const { size } = statSync(path)
  // SQLite takes a file that is smaller than a page for an empty one, and would overwrite it.
  if (size > 0 && db.prepare("PRAGMA page_count").get()?.page_count === 0)
    return failure(format, filename, "NotADatabase")
  const error = identify(format, filename, db)
  if (error !== undefined || size > checkedSize) return error
  return isUndamaged(db) ? undefined : failure(format, filename, "Damaged")
}

/** Checks the whole file. */
export const isUndamaged = (db: DatabaseSync): boolean =>
  db.prepare("PRAGMA quick_check(1)").get()?.quick_check === "ok"
