import * as Effect from "effect/Effect"
import { accessSync, constants, existsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../../internal/diagnosing.ts"
import * as Errors from "./errors.ts"
import * as File from "./file.ts"
import { migrations } from "./migrations.ts"

/** Looks at the file and writes nothing: where there is no store, none is made. */
export const diagnose = Effect.fnUntraced(function* (options: {
  readonly filename: string
}): Effect.fn.Return<ReadonlyArray<Diagnosis.Diagnosis>> {
  const { filename } = options
  const path = resolve(filename)
  const attempt = <A>(body: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.try({
      try: body,
      catch: (cause) => Errors.fromCause(filename, cause) ?? Errors.unusable(String(cause), cause)
    })

  const found: Array<Diagnosis.Diagnosis> = [
    yield* Diagnosing.check(
      "file",
      attempt(() => file(filename, path))
    )
  ]
  const space = Diagnosing.disk(path)
  if (found.some(({ status }) => status === "fail") || !existsSync(path)) return [...found, ...space]
  const looks: ReadonlyArray<readonly [string, (db: DatabaseSync) => Diagnosis.Diagnosis]> = [
    ["schema", (db) => schema(filename, db)],
    ["journal", journal],
    ["integrity", (db) => integrity(filename, db)]
  ]
  const content = yield* Effect.acquireUseRelease(
    attempt(() => new DatabaseSync(path, { readOnly: true, timeout: 1_000 })),
    (db) =>
      Effect.forEach(looks, ([name, look]) =>
        Diagnosing.check(
          name,
          attempt(() => look(db))
        )
      ),
    (db) => Effect.sync(() => db.close())
  ).pipe(Effect.catch((error) => Effect.succeed([Diagnosing.fromError("schema", error)])))
  return [...found, ...content, ...space]
})

const file = (filename: string, path: string): Diagnosis.Diagnosis => {
  const found = statSync(path, { throwIfNoEntry: false })
  const place = dirname(path)
  if (found === undefined) {
    accessSync(Diagnosing.existingPart(path), constants.W_OK | constants.X_OK)
    return Diagnosis.ok("file", `There is no store at ${filename} yet; the first command that adds tasks makes it.`)
  }
  if (found.isDirectory()) return Diagnosing.fromError("file", Errors.unusable(Errors.isDirectory(filename)))
  if (!found.isFile()) return Diagnosing.fromError("file", Errors.unusable(Errors.notADatabase(filename)))
  accessSync(path, constants.R_OK | constants.W_OK)
  // The log and its index are beside the file.
  accessSync(place, constants.W_OK | constants.X_OK)
  return Diagnosis.ok("file", `${filename} can be read and written.`)
}

const schema = (filename: string, db: DatabaseSync): Diagnosis.Diagnosis => {
  const problem = File.identify(filename, db, migrations.length)
  if (problem !== undefined) return Diagnosing.fromError("schema", Errors.unusable(problem))
  const version = File.version(db)
  return Diagnosis.ok(
    "schema",
    version === migrations.length
      ? `The store is of the version that this Baton writes (schema ${version}).`
      : `The store is of an older version (schema ${version}) and will be brought up to date when it is opened.`
  )
}

/** What is written is flushed to the disk by each connection of ours (`synchronous = FULL`); the log is the file's. */
const journal = (db: DatabaseSync): Diagnosis.Diagnosis =>
  db.prepare("PRAGMA journal_mode").get()?.journal_mode === "wal"
    ? Diagnosis.ok("journal", "The file has a write-ahead log, and every write is flushed to the disk.")
    : Diagnosis.ok("journal", "The file will get its write-ahead log when it is opened to be written.")

const integrity = (filename: string, db: DatabaseSync): Diagnosis.Diagnosis =>
  db.prepare("PRAGMA quick_check(1)").get()?.quick_check === "ok"
    ? Diagnosis.ok("integrity", "The file is undamaged.")
    : Diagnosing.fromError("integrity", Errors.unusable(Errors.damaged(filename)))
