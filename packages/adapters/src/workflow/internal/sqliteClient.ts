/**
 * A client of Effect's SQL modules for the SQLite of Node, which the engine keeps its messages with.
 *
 * There is no published one for this version of Effect. The engine needs no streams and no transforms of rows.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { mkdirSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import { WorkflowsError } from "../WorkflowsError.ts"

/** The file is locked for as long as it is open, because a second engine on it would execute the same steps. */
const settings = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  BEGIN IMMEDIATE;
  COMMIT;
`

export const layer = (options: { readonly filename: string }): Layer.Layer<SqlClient.SqlClient, WorkflowsError> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      const connection = connectionOf(yield* open(resolve(options.filename)))
      const semaphore = yield* Semaphore.make(1)
      return yield* SqlClient.make({
        ...SqlClient.makeSqliteAcquirers({ connection: Effect.succeed(connection), semaphore }),
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite",
        spanAttributes: [["db.system.name", "sqlite"]]
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))

const open = (path: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        mkdirSync(dirname(path), { recursive: true })
        const db = new DatabaseSync(path)
        db.exec(settings)
        return db
      },
      catch: (cause) => {
        const isLocked = String(cause).includes("locked")
        return new WorkflowsError({
          message: isLocked
            ? `Another process uses ${path}. Stop it, or use an engine on PostgreSQL for several processes.`
            : `${path} cannot be opened: ${String(cause)}`,
          cause
        })
      }
    }),
    (db) => Effect.sync(() => db.close())
  )

/** The rows of node:sqlite have no prototype and cannot be told from other objects, so they are passed on unchanged. */
const connectionOf = (db: DatabaseSync): Connection => {
  const run = <A>(sql: string, body: () => A): Effect.Effect<A, SqlError> =>
    Effect.try({
      try: body,
      catch: (cause) =>
        new SqlError({ reason: classifySqliteError(cause, { message: `Failed: ${sql}`, operation: "execute" }) })
    })
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    run(sql, () => db.prepare(sql).all(...params.map(toSqlite)))
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    run(sql, () => {
      const statement = db.prepare(sql)
      statement.setReturnArrays(true)
      // With `setReturnArrays`, which the types of `all` do not know, each row is an array.
      return statement.all(...params.map(toSqlite)).map((row) => Object.values(row))
    })
  return {
    execute: (sql, params, transform) =>
      Effect.map(rows(sql, params), (found) => (transform === undefined ? found : transform(found))),
    executeUnprepared: (sql, params, transform) =>
      Effect.map(rows(sql, params), (found) => (transform === undefined ? found : transform(found))),
    executeRaw: rows,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params) => Stream.fromIterableEffect(rows(sql, params))
  }
}

const toSqlite = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    default:
      if (value instanceof Date) return value.toISOString()
      return value instanceof Uint8Array ? value : null
  }
}
