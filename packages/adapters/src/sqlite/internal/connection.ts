import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import * as SqliteFile from "../../internal/SqliteFile.ts"
import { format } from "./migrations.ts"
import { preparedOn } from "./preparing.ts"
import * as Statements from "./statements.ts"

export interface Options {
  readonly filename: string
  readonly synchronous: "FULL" | "NORMAL"
  /** Default: the format of a task store. */
  readonly format?: SqliteFile.Format | undefined
}

/** A write transaction that is under way. */
export interface Writing {
  readonly sql: Statements.Statements
  /** Epoch milliseconds, read once for all tasks of a write. */
  readonly now: number
}

/** One connection to one file. `DatabaseSync` blocks the thread, so every body has to be short. */
export interface Connection {
  readonly filename: string

  /** The write-ahead log, which grows with every write. */
  readonly logFile: string

  /** Runs single statements, each of which sees the file at one moment. */
  readonly read: <A>(body: (sql: Statements.Statements) => A) => Effect.Effect<A, TaskStoreError>

  /** Runs several statements, all of which see the file at the same moment. */
  readonly snapshot: <A>(body: (sql: Statements.Statements) => A) => Effect.Effect<A, TaskStoreError>

  /** Runs a body in a write transaction: all or nothing, and durable when it returns. */
  readonly write: <A>(
    body: (writing: Writing) => A,
    commitIf?: (result: A) => boolean
  ) => Effect.Effect<A, TaskStoreError>

  /** Changes when another connection has written. */
  readonly dataVersion: Effect.Effect<number, TaskStoreError>
}

/** Opens a file, and creates it where there is none. It is closed with the scope. */
export const open = Effect.fnUntraced(
  function* (options: Options): Effect.fn.Return<Connection, SqliteFile.SqliteFileError, Scope.Scope> {
    const { filename } = options
    const { attempt, db, path, snapshot, transact } = yield* SqliteFile.open({
      filename,
      format: options.format ?? format,
      pragmas: `PRAGMA synchronous = ${options.synchronous}; PRAGMA temp_store = MEMORY`,
      requireWal: true
    })
    const prepared = preparedOn(db)
    const sql = Statements.make(prepared)
    const dataVersion = prepared("PRAGMA data_version")

    const run = <A>(body: () => A): Effect.Effect<A, TaskStoreError> =>
      attempt(body).pipe(
        // Most attempts succeed, and setting up a schedule costs as much as a small read.
        Effect.catchIf(SqliteFile.whileLocked.while, () => Effect.retry(attempt(body), SqliteFile.whileLocked)),
        Effect.mapError(toTaskStoreError)
      )

    return {
      filename,
      logFile: `${path}-wal`,
      read: (body) => run(() => body(sql)),
      snapshot: (body) => run(() => snapshot(() => body(sql))),
      write: (body, commitIf) =>
        Clock.clockWith((clock) =>
          run(() =>
            // The time is read once the lock is held, so that a write that waited for it starts no lease in the past.
            transact(() => body({ sql, now: Math.floor(clock.currentTimeMillisUnsafe()) }), commitIf)
          )
        ),
      dataVersion: run(() => Number(dataVersion().get()?.data_version))
    }
  },
  (opened) => Effect.mapError(opened, toTaskStoreError)
)

/** Another process lets go of its lock, and space can be freed; a person has to see to everything else. */
export const toTaskStoreError = ({ cause, message, problem }: SqliteFile.SqliteFileError): TaskStoreError =>
  new TaskStoreError({
    reason: problem === "Locked" || problem === "DiskFull" ? "Unavailable" : "Unusable",
    message,
    ...(cause === undefined ? undefined : { cause })
  })
