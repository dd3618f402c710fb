import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqliteFile from "../SqliteFile.ts"
import { ResponseCacheError } from "./ModelError.ts"
import { Reply } from "./Reply.ts"

/**
 * The replies in one SQLite file, which several processes can share. Effect's `PersistedCache` does not fit: it keeps
 * failures and cannot replace a reply that was rejected.
 */
export interface ResponseCacheFile {
  /** Also none for a row that cannot be read: the request is sent again, and its reply replaces the row. */
  readonly get: (key: string) => Effect.Effect<Option.Option<Reply>, ResponseCacheError>
  /** The reply is in the file when this returns: it survives a crash of the process, but not always of the machine. */
  readonly set: (key: string, reply: Reply) => Effect.Effect<void, ResponseCacheError>
  readonly entries: Effect.Effect<number, ResponseCacheError>
  /** Removes all replies, returns their space to the disk, and returns their number. */
  readonly clear: Effect.Effect<number, ResponseCacheError>
}

const format: SqliteFile.Format = {
  label: "response cache",
  // "BATC"
  applicationId: 0x42415443,
  version: 2,
  migrate: (db, from) =>
    db.exec(
      from === 0
        ? `CREATE TABLE answers (
             key TEXT NOT NULL UNIQUE,
             reply TEXT NOT NULL,
             answered_at INTEGER NOT NULL
           ) STRICT`
        : // Version 1 kept tokens by kind. What a reply from the cache once used does not matter any more.
          "UPDATE answers SET reply = json_set(json_remove(reply, '$.tokens', '$.unmetered'), '$.usage', NULL)"
    ),
  ifDamaged: () => "delete the file"
}

/** A file of this size drops its oldest replies, a few at a time, so that no request waits for it. */
const maxSize = 1024 * 1024 * 1024
const evictedAtOnce = 512
const writesBetweenChecks = 256

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Reply))

export const open = Effect.fnUntraced(
  function* (
    filename: string,
    limit = maxSize
  ): Effect.fn.Return<ResponseCacheFile, SqliteFile.SqliteFileError, Scope.Scope> {
    const { attempt, db } = yield* SqliteFile.open({
      filename,
      format,
      // Keys are random, so with a longer log fewer pages are written back twice.
      pragmas: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000"
    })
    const retried = <A>(body: () => A) => Effect.retry(attempt(body), SqliteFile.whileLocked)
    const run = <A>(body: () => A) => Effect.mapError(retried(body), toResponseCacheError)

    const get = yield* retried(() => db.prepare("SELECT reply FROM answers WHERE key = ?"))
    const set = yield* retried(() =>
      db.prepare(`
        INSERT INTO answers (key, reply, answered_at) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET reply = excluded.reply, answered_at = excluded.answered_at`)
    )
    const count = yield* retried(() => db.prepare("SELECT count(*) AS entries FROM answers"))
    const remove = yield* retried(() => db.prepare("DELETE FROM answers"))
    const size = yield* retried(() =>
      db.prepare(`
        SELECT (page_count - freelist_count) * page_size AS bytes
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size`)
    )
    const evict = yield* retried(() =>
      db.prepare("DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers ORDER BY rowid LIMIT ?)")
    )
    let writes = 0
    const write = (key: string, reply: Reply, now: number) => {
      set.run(key, JSON.stringify(reply), now)
      if (++writes % writesBetweenChecks === 0 && Number(size.get()?.bytes) > limit) evict.run(evictedAtOnce)
    }

    return {
      get: (key) => run(() => decode(get.get(key)?.reply)),
      // One statement is one transaction. It takes a tenth of a millisecond; gathering eight into one would save a third
      // of that, and a request to Claude takes seconds.
      set: (key, reply) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => run(() => write(key, reply, Math.floor(now)))),
      entries: run(() => Number(count.get()?.entries)),
      clear: Effect.tap(
        run(() => Number(remove.run().changes)),
        // Replies contain traces of prompts, so cleared ones are erased from the disk, unless another process reads them.
        Effect.ignore(run(() => db.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")))
      )
    }
  },
  (opened) => Effect.mapError(opened, toResponseCacheError)
)

const toResponseCacheError = ({ cause, message }: SqliteFile.SqliteFileError): ResponseCacheError =>
  new ResponseCacheError({ message, ...(cause === undefined ? undefined : { cause }) })
