import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { resolve } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import * as File from "./file.ts"
import { type Migration, migrate, migrations } from "./migrations.ts"
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

/** For locks that are held longer than `File.busyTimeoutMillis`; other fibers work meanwhile. */
const untilUnlocked = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("50 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "5 seconds" })
)

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

  yield* verify(() => File.ensure(filename, path))
  yield* verify(() => File.inspectLog(filename, path, known.length))

  const db = yield* Effect.acquireRelease(
    attempt(() => new DatabaseSync(path, { timeout: File.busyTimeoutMillis })),
    // The last connection to close writes the log back into the file and removes it.
    (db) => Effect.sync(() => db.close())
  )

  // Nothing is written before this: what is not ours stays as it is.
  yield* verify(() => File.inspect(filename, path, db, known.length))

  yield* verify(() => {
    if (db.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode !== "wal") return Errors.noWal(filename)
    // The log grows with the largest write; the limit gives the space back afterwards.
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
    if (File.version(db) === known.length) return undefined
    return transact(
      beginWrite,
      () => {
        // Again, now that no other process can change it.
        const problem = File.identify(filename, db, known.length)
        if (problem === undefined) migrate(db, File.version(db), known)
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
