import * as Effect from "effect/Effect"
import { accessSync, constants, existsSync } from "node:fs"
import { resolve } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Diagnosing from "../../internal/diagnosing.ts"
import * as SqliteFile from "../../internal/SqliteFile.ts"
import { toTaskStoreError } from "./connection.ts"
import { format } from "./migrations.ts"

/** Checks the file without writing to it. A file that does not exist is not created. */
export const diagnose = Effect.fnUntraced(function* (options: {
  readonly filename: string
}): Effect.fn.Return<ReadonlyArray<Diagnosis.Diagnosis>> {
  const { filename } = options
  const path = resolve(filename)
  const attempt = SqliteFile.attemptOn(format, filename)
  const check = (name: string, found: () => Diagnosis.Diagnosis) =>
    Diagnosing.check(name, Effect.mapError(attempt(found), toTaskStoreError))

  const file = yield* check("file", () => inspectFile(filename, path))
  const space = Diagnosing.disk(path)
  if (file.status === "fail" || !existsSync(path)) return [file, ...space]
  const content = yield* SqliteFile.openReadOnly(format, filename, 1_000).pipe(
    Effect.flatMap(({ db }) =>
      Effect.all([
        check("schema", () => inspectSchema(filename, db)),
        check("journal", () => inspectJournal(db)),
        check("integrity", () => inspectIntegrity(filename, db))
      ])
    ),
    Effect.scoped,
    Effect.catch((error) => Effect.succeed([fromError("schema", error)]))
  )
  return [file, ...content, ...space]
})

const fromError = (check: string, error: SqliteFile.SqliteFileError): Diagnosis.Diagnosis =>
  Diagnosing.fromError(check, toTaskStoreError(error))

const inspectFile = (filename: string, path: string): Diagnosis.Diagnosis => {
  const error = SqliteFile.inspectPlace(format, filename)
  if (error !== undefined) return fromError("file", error)
  if (existsSync(path)) return Diagnosis.ok("file", `${filename} can be read and written.`)
  accessSync(Diagnosing.existingPart(path), constants.W_OK | constants.X_OK)
  return Diagnosis.ok("file", `There is no store at ${filename} yet; the first command that adds tasks creates it.`)
}

const inspectSchema = (filename: string, db: DatabaseSync): Diagnosis.Diagnosis => {
  const error = SqliteFile.identify(format, filename, db)
  if (error !== undefined) return fromError("schema", error)
  const version = SqliteFile.versionOf(db)
  return Diagnosis.ok(
    "schema",
    version === format.version
      ? `The store has the schema of this version of Baton (schema ${version}).`
      : `The store has an older schema (schema ${version}), which is updated when the store is opened.`
  )
}

/** Every connection of a store flushes its writes (`synchronous = FULL`); the journal mode is part of the file. */
const inspectJournal = (db: DatabaseSync): Diagnosis.Diagnosis =>
  db.prepare("PRAGMA journal_mode").get()?.journal_mode === "wal"
    ? Diagnosis.ok("journal", "The file has a write-ahead log, and every write is flushed to the disk.")
    : Diagnosis.ok("journal", "The file gets its write-ahead log when it is opened for writing.")

const inspectIntegrity = (filename: string, db: DatabaseSync): Diagnosis.Diagnosis =>
  SqliteFile.isUndamaged(db)
    ? Diagnosis.ok("integrity", "The file is undamaged.")
    : fromError("integrity", SqliteFile.failure(format, filename, "Damaged"))
