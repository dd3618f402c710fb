import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ClaudeError } from "../../ClaudeError.ts"
import { noTokens } from "../../Reply.ts"
import * as Journal from "./journal.ts"

/** The journal, and how to call it. */
export interface JournalFile {
  /** Calls it in one go: nothing else of this process runs in between. Fails with a sentence for a person. */
  readonly use: <A>(body: (journal: Journal.Journal) => A) => Effect.Effect<A, ClaudeError>
}

/**
 * Opens the journal for this process alone, and makes it where there is none. One process at a time: of two, neither could
 * tell a batch that the other is creating from one whose creator is dead.
 */
export const open = Effect.fnUntraced(function* (
  filename: string
): Effect.fn.Return<JournalFile, ClaudeError, Scope.Scope> {
  const path = resolve(filename)
  yield* attempt(filename, () => ensure(path))
  yield* acquire(filename, () => lock(filename, `${path}-lock`))
  const db = yield* acquire(filename, () => new DatabaseSync(path, { timeout: 1000 }))
  yield* attempt(filename, () => prepare(filename, db))
  const journal = yield* attempt(filename, () => Journal.make(db))
  return { use: (body) => attempt(filename, () => body(journal)) }
})

/** The batches that have not ended, as a look into the file shows: whoever works with it goes on. */
export const underWay = (filename: string): Effect.Effect<ReadonlyArray<Journal.BatchRow>, ClaudeError> =>
  attempt(filename, () => {
    const path = resolve(filename)
    if (!existsSync(path)) return []
    const db = new DatabaseSync(path, { readOnly: true, timeout: 1000 })
    try {
      // Made a moment ago, and still without its tables.
      if (db.prepare("PRAGMA user_version").get()?.user_version === 0) return []
      return Journal.underWay(db)
    } finally {
      db.close()
    }
  })

const acquire = (filename: string, make: () => DatabaseSync) =>
  Effect.acquireRelease(attempt(filename, make), (db) => Effect.sync(() => db.close()))

const ensure = (path: string) => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // It holds answers: readable for this user alone, as the files that SQLite puts beside it are then.
  for (const file of [path, `${path}-lock`]) if (!existsSync(file)) closeSync(openSync(file, "a", 0o600))
}

/** A transaction that never ends, in a file of its own: the operating system ends it with the process, however that ends. */
const lock = (filename: string, path: string): DatabaseSync => {
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec("BEGIN EXCLUSIVE")
    return db
  } catch (cause) {
    db.close()
    throw isBusy(cause) ? refusal(`Another run works with the batches of ${filename}: let it end, or stop it.`) : cause
  }
}

const prepare = (filename: string, db: DatabaseSync) => {
  const id = db.prepare("PRAGMA application_id").get()?.application_id
  const found = db.prepare("PRAGMA user_version").get()?.user_version
  if (id !== Journal.applicationId) {
    const isEmpty = id === 0 && found === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined
    if (!isEmpty) throw refusal(`The file ${filename} is a database, but no journal of batches: move it away.`)
  } else if (typeof found === "number" && found > Journal.version) {
    throw refusal(`The journal of batches ${filename} was written by a newer version of Baton: update Baton.`)
  }
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864")
  if (found !== 0) return
  Journal.transacting(db)(() =>
    db.exec(
      `${Journal.schema}; PRAGMA application_id = ${Journal.applicationId}; PRAGMA user_version = ${Journal.version}`
    )
  )
}

const attempt = <A>(filename: string, body: () => A): Effect.Effect<A, ClaudeError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (cause) {
      const error = fromCause(filename, cause)
      return error === undefined ? Effect.die(cause) : Effect.fail(error)
    }
  })

/** What `node:sqlite` throws; `errcode` is SQLite's own. */
const isSqliteError = Schema.is(
  Schema.Struct({ code: Schema.Literal("ERR_SQLITE_ERROR"), errcode: Schema.Int, message: Schema.String })
)
const isNodeError = Schema.is(Schema.Struct({ code: Schema.String, message: Schema.String }))

const isBusy = (cause: unknown): boolean => isSqliteError(cause) && [5, 6].includes(cause.errcode & 0xff)

const refusal = (message: string, cause?: unknown): ClaudeError =>
  new ClaudeError({
    reason: "Fatal",
    type: "journal",
    message,
    tokens: noTokens,
    ...(cause === undefined ? undefined : { cause })
  })

/** Without its journal nothing may be sent, so every error of it ends the run. Undefined when it is a bug of ours. */
const fromCause = (filename: string, cause: unknown): ClaudeError | undefined => {
  if (cause instanceof ClaudeError) return cause
  const name = `The journal of batches ${filename}`
  if (Schema.isSchemaError(cause))
    return refusal(`${name} holds a value that cannot be read: move the file away.`, cause)
  if (isSqliteError(cause)) {
    switch (cause.errcode & 0xff) {
      case 11:
      case 26:
        return refusal(`${name} is damaged: move the file away, and what is in a batch is sent again.`, cause)
      case 8:
      case 14:
        return unopened(name, cause)
      case 13:
        return refusal(`No space is left on the disk of ${filename}: free some.`, cause)
      default:
        return refusal(`${name} cannot be used: ${cause.message}.`, cause)
    }
  }
  return isNodeError(cause) ? unopened(name, cause) : undefined
}

const unopened = (name: string, cause: unknown) =>
  refusal(`${name} cannot be opened: is it a file, in a folder that this user can write to?`, cause)
