import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import { applicationId, type Migration, migrate, migrations } from "./migrations.ts"
import * as Rows from "./rows.ts"
import { prepare, type Statements } from "./statements.ts"
import type { Writing } from "./transitions.ts"

export interface ConnectionOptions {
  readonly filename: string
  readonly synchronous: "FULL" | "NORMAL"
  readonly migrations?: ReadonlyArray<Migration> | undefined
}

/** One connection to one file; `DatabaseSync` blocks the thread, so every body has to be short. */
export interface Connection {
  readonly logFile: string

  /** Runs single statements, each of which sees the file at one moment. */
  readonly read: <A>(body: (sql: Statements) => A) => Effect.Effect<A, TaskStoreError>

  /** Runs several statements, all of which see the file at the same moment. */
  readonly snapshot: <A>(body: (sql: Statements) => A) => Effect.Effect<A, TaskStoreError>

  /** Runs a body in a write transaction: all or nothing, and durable when it returns. */
  readonly write: <A>(
    body: (writing: Writing) => A,
    options?: { readonly commitIf: (result: A) => boolean }
  ) => Effect.Effect<A, TaskStoreError>

  /** Changes when another connection has written. */
  readonly dataVersion: Effect.Effect<number, TaskStoreError>
}

/**
 * How long the thread may be blocked by a lock that another process holds. Transactions take a millisecond or two, so
 * most locks are gone by then; after that, waiting is left to `untilUnlocked`, which lets other fibers work.
 */
const busyTimeoutMillis = 100

const untilUnlocked = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("50 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "5 seconds" })
)

/** A file up to this size is checked as a whole when it is opened, which takes some milliseconds. */
const checkedSize = 2 * 1024 * 1024

const always = () => true

export const open = Effect.fnUntraced(function* (
  options: ConnectionOptions
): Effect.fn.Return<Connection, TaskStoreError, Scope.Scope> {
  const { filename } = options
  const path = resolve(filename)
  const known = options.migrations ?? migrations

  const attempt = <A>(body: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      try {
        return Effect.succeed(body())
      } catch (cause) {
        const error = Errors.fromCause(filename, cause)
        return error === undefined ? Effect.die(cause) : Effect.fail(error)
      }
    }).pipe(Effect.retry({ schedule: untilUnlocked, while: Errors.isBusy }))

  const verify = (check: () => string | undefined) =>
    Effect.flatMap(attempt(check), (problem) =>
      problem === undefined ? Effect.void : Effect.fail(Errors.unusable(problem))
    )

  yield* verify(() => prepareFile(filename, path))
  yield* verify(() => inspectLog(filename, path, known.length))

  const db = yield* Effect.acquireRelease(
    attempt(() => new DatabaseSync(path, { timeout: busyTimeoutMillis })),
    // The last connection to close writes the log back into the file and removes it.
    (db) => Effect.sync(() => db.close())
  )

  // Nothing is written before this: what is not ours stays as it is.
  yield* verify(() => inspect(filename, path, db, known.length))

  yield* verify(() => {
    if (db.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode !== "wal") return Errors.noWal(filename)
    db.exec(`
      PRAGMA synchronous = ${options.synchronous};
      PRAGMA journal_size_limit = 67108864;
      PRAGMA temp_store = MEMORY;
    `)
    return undefined
  })
  const begin = db.prepare("BEGIN")
  // Takes the write lock at the start: a transaction that read first could find it taken when it comes to write, and
  // would have to start over.
  const beginWrite = db.prepare("BEGIN IMMEDIATE")
  const commit = db.prepare("COMMIT")
  const rollback = db.prepare("ROLLBACK")

  const transact = <A>(begin: StatementSync, body: () => A, commitIf: (result: A) => boolean = always): A => {
    begin.run()
    try {
      const result = body()
      const end = commitIf(result) ? commit : rollback
      end.run()
      return result
    } catch (cause) {
      // After some errors, a full disk among them, SQLite has rolled back by itself.
      if (db.isTransaction) rollback.run()
      throw cause
    }
  }

  yield* verify(() => {
    if (version(db) === known.length) return undefined
    return transact(
      beginWrite,
      () => {
        // Again, now that no other process can change it.
        const problem = identify(filename, db, known.length)
        if (problem === undefined) migrate(db, version(db), known)
        return problem
      },
      (problem) => problem === undefined
    )
  })

  const sql = yield* attempt(() => prepare(db))
  const dataVersion = yield* attempt(() => db.prepare("PRAGMA data_version"))

  return {
    logFile: `${path}-wal`,
    read: (body) => attempt(() => body(sql)),
    snapshot: (body) => attempt(() => transact(begin, () => body(sql))),
    write: (body, { commitIf } = { commitIf: always }) =>
      // The time is read once the lock is held, so that a write that waited for it starts no lease in the past.
      Clock.clockWith((clock) =>
        attempt(() =>
          transact(beginWrite, () => body({ sql, now: Math.floor(clock.currentTimeMillisUnsafe()) }), commitIf)
        )
      ),
    dataVersion: attempt(() => Rows.int(dataVersion.get()?.data_version))
  }
})

/** Makes the file where there is none, readable for this user alone. Returns what is in the way. */
const prepareFile = (filename: string, path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return Errors.isDirectory(filename)
  if (found !== undefined && !found.isFile()) return Errors.notADatabase(filename)
  if (found === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    create(path)
  }
  // SQLite would open such a file all the same and fail at the first write, without saying why.
  accessSync(path, constants.R_OK | constants.W_OK)
  accessSync(dirname(path), constants.W_OK | constants.X_OK)
  return undefined
}

/** Does nothing if another process was faster. */
const create = (path: string) => {
  try {
    closeSync(openSync(path, "wx", 0o600))
  } catch (cause) {
    if (!existsSync(path)) throw cause
  }
}

/**
 * Looks at a file with a log beside it through a connection that cannot write, because one that can would write the log
 * into the file when it is closed. Not through a file handle of our own: closing one would drop the locks that this
 * process holds on the file (https://www.sqlite.org/howtocorrupt.html, section 2.2).
 */
const inspectLog = (filename: string, path: string, known: number): string | undefined => {
  if (!existsSync(`${path}-wal`)) return undefined
  const db = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMillis })
  try {
    return identify(filename, db, known)
  } finally {
    db.close()
  }
}

const inspect = (filename: string, path: string, db: DatabaseSync, known: number): string | undefined => {
  const { size } = statSync(path)
  // SQLite takes a file that is smaller than a page for an empty one, and would write over it.
  if (size > 0 && db.prepare("PRAGMA page_count").get()?.page_count === 0) return Errors.notADatabase(filename)
  const problem = identify(filename, db, known)
  if (problem !== undefined || size > checkedSize) return problem
  return db.prepare("PRAGMA quick_check(1)").get()?.quick_check === "ok" ? undefined : Errors.damaged(filename)
}

const version = (db: DatabaseSync): number => Rows.int(db.prepare("PRAGMA user_version").get()?.user_version)

/** Why this is no file for us, if it is none; an empty database is. */
const identify = (filename: string, db: DatabaseSync, known: number): string | undefined => {
  const id = db.prepare("PRAGMA application_id").get()?.application_id
  const found = version(db)
  if (id === applicationId) return found > known ? Errors.newer(filename, found, known) : undefined
  const empty = id === 0 && found === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined
  return empty ? undefined : Errors.foreign(filename)
}
