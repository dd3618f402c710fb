import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Reply } from "../../Reply.ts"
import { ResponseCacheError } from "../../ResponseCacheError.ts"
import * as Errors from "./errors.ts"

/**
 * The answers in one SQLite file. On `node:sqlite` like the store, and for its reasons: several processes share the file,
 * an answer is written before anybody is told of it, and reading one reads no other. Effect's `PersistedCache` keeps
 * failures and cannot replace an answer that was rejected.
 */
export interface CacheFile {
  /** None as well for a row that cannot be read: its request is sent again, and its answer replaces the row. */
  readonly get: (key: string) => Effect.Effect<Option.Option<Reply>, ResponseCacheError>
  /** The answer is in the file when this returns: it survives a crash of the process, not always one of the machine. */
  readonly set: (key: string, reply: Reply) => Effect.Effect<void, ResponseCacheError>
  readonly entries: Effect.Effect<number, ResponseCacheError>
  /** Removes all answers and gives their space back. Returns how many there were. */
  readonly clear: Effect.Effect<number, ResponseCacheError>
}

/** "BATC": how a file is recognised as ours (https://www.sqlite.org/pragma.html#pragma_application_id). */
const applicationId = 0x42415443

/** With another layout, or when requests come to mean something else, all answers of before are dropped. */
const version = 1

/** A file that grew to this size forgets its oldest answers, some at a time, so that nobody waits for it. */
const maxSize = 1024 * 1024 * 1024
const forgottenAtOnce = 512
const lookedAfter = 256

/** How long the thread may be blocked by a lock that another process holds; writing takes much less. */
const busyTimeoutMillis = 20

/** A file up to this size is checked as a whole when it is opened, which takes some milliseconds. */
const checkedSize = 2 * 1024 * 1024

const untilUnlocked = Schedule.spaced("10 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: "5 seconds" }))

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Reply))

export const open = Effect.fnUntraced(function* (
  filename: string,
  limit = maxSize
): Effect.fn.Return<CacheFile, ResponseCacheError, Scope.Scope> {
  const path = resolve(filename)
  const attempt = <A>(body: () => A): Effect.Effect<A, ResponseCacheError> =>
    Effect.try({
      try: body,
      catch: (cause) =>
        cause instanceof ResponseCacheError
          ? cause
          : new ResponseCacheError({ message: Errors.describe(filename, cause), cause })
    }).pipe(Effect.retry({ schedule: untilUnlocked, while: ({ cause }) => Errors.isBusy(cause) }))

  yield* attempt(() => ensure(path))
  const db = yield* Effect.acquireRelease(
    attempt(() => new DatabaseSync(path, { timeout: busyTimeoutMillis })),
    (db) => Effect.sync(() => db.close())
  )
  yield* attempt(() => prepare(filename, path, db))

  const get = yield* attempt(() => db.prepare("SELECT reply FROM answers WHERE key = ?"))
  const set = yield* attempt(() =>
    db.prepare(`
      INSERT INTO answers (key, reply, answered_at) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET reply = excluded.reply, answered_at = excluded.answered_at`)
  )
  const count = yield* attempt(() => db.prepare("SELECT count(*) AS entries FROM answers"))
  const remove = yield* attempt(() => db.prepare("DELETE FROM answers"))
  const size = yield* attempt(() =>
    db.prepare(`
      SELECT (page_count - freelist_count) * page_size AS bytes
      FROM pragma_page_count, pragma_freelist_count, pragma_page_size`)
  )
  const forget = yield* attempt(() =>
    db.prepare("DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers ORDER BY rowid LIMIT ?)")
  )
  let added = 0
  const write = (key: string, reply: Reply, now: number) => {
    set.run(key, JSON.stringify(reply), now)
    if (++added % lookedAfter === 0 && Number(size.get()?.bytes) > limit) forget.run(forgottenAtOnce)
  }

  return {
    get: (key) => attempt(() => decode(get.get(key)?.reply)),
    // One statement is one transaction. It takes a tenth of a millisecond, half of which is the disk's; gathering eight
    // into one would spare a third of that, and answers take seconds.
    set: (key, reply) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => attempt(() => write(key, reply, Math.floor(now)))),
    entries: attempt(() => Number(count.get()?.entries)),
    clear: Effect.tap(
      attempt(() => Number(remove.run().changes)),
      // Prompts leave traces in the answers, so what is cleared is gone from the disk. While another process reads, it is
      // gone from sight only.
      Effect.ignore(attempt(() => db.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")))
    )
  }
})

/** Makes the file where there is none, readable for this user alone. */
const ensure = (path: string): void => {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return
  makeFolder(dirname(path))
  try {
    closeSync(openSync(path, "wx", 0o600))
  } catch (cause) {
    // Another process may have been faster.
    if (!existsSync(path)) throw cause
  }
}

/** One folder after the other: in a place like /proc, where none can be made, Node's own `recursive` tries for ever. */
const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (cause) {
    if (!existsSync(path)) throw cause
  }
}

/** Writes nothing into a file that is not ours. */
const prepare = (filename: string, path: string, db: DatabaseSync): void => {
  const refuse = (message: string): never => {
    throw new ResponseCacheError({ message })
  }
  const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
  // SQLite takes a file that is smaller than a page for an empty one, and would write over it.
  const { size } = statSync(path)
  if (size > 0 && pragma("page_count") === 0) refuse(Errors.foreign(filename))
  const id = pragma("application_id")
  const isNew = id === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined
  if (!isNew && id !== applicationId) refuse(Errors.foreign(filename))
  if (pragma("user_version") > version) refuse(Errors.newer(filename))
  if (size <= checkedSize && db.prepare("PRAGMA quick_check(1)").get()?.quick_check !== "ok")
    refuse(Errors.damaged(filename))

  // Where the file system cannot do it, the file works all the same, one process after the other.
  // Keys are random, so a longer log means that fewer pages are written back twice.
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
  `)
  if (pragma("user_version") === version) return
  db.exec("BEGIN IMMEDIATE")
  try {
    // Again, now that no other process can change it.
    if (pragma("user_version") !== version) {
      db.exec(`
        DROP TABLE IF EXISTS answers;
        CREATE TABLE answers (
          key TEXT NOT NULL UNIQUE,
          reply TEXT NOT NULL,
          answered_at INTEGER NOT NULL
        ) STRICT;
        PRAGMA application_id = ${applicationId};
        PRAGMA user_version = ${version};
      `)
    }
    db.exec("COMMIT")
  } catch (cause) {
    if (db.isTransaction) db.exec("ROLLBACK")
    throw cause
  }
}
