import * as Usage from "@baton/core/Usage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { existsSync } from "node:fs"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import * as SqliteFile from "../../../internal/SqliteFile.ts"
import { ClaudeError } from "../../ClaudeError.ts"
import { BatchResult } from "./batchResult.ts"

/**
 * The requests that are, or may be, in a batch. Every step is recorded before it happens:
 *
 * 1. `recordIntent`: these requests are about to become a batch. After a crash it is unknown whether the batch exists, and
 *    the next run looks for it among the batches that the API lists.
 * 2. `recordCreated`: the batch exists and has this id.
 * 3. `recordResults`: these requests have a result. It is kept after it was delivered, because the task that it was for
 *    may not be settled yet: the same request of a later run gets it again.
 * 4. `recordEnded`: all requests of the batch have a result.
 */
export interface Journal {
  readonly find: (key: string) => Entry | undefined
  /** Returns the number of the new batch in this journal. Earlier results of its requests, such as errors, are dropped. */
  readonly recordIntent: (requests: ReadonlyArray<RequestKey>, now: number) => number
  readonly recordCreated: (seq: number, id: string) => void
  /** The batch does not exist: the journal no longer knows its requests, except those that have a result. */
  readonly drop: (seq: number) => void
  /** Returns the keys that had no result before. `isWaiting` says whose result is delivered at once. */
  readonly recordResults: (
    seq: number,
    results: ReadonlyArray<readonly [key: string, result: BatchResult]>,
    isWaiting: (key: string) => boolean
  ) => ReadonlyArray<string>
  readonly recordEnded: (seq: number) => void
  /** The result of this request is delivered, although no request waited for it when it arrived. */
  readonly markClaimed: (key: string) => void
  /** The requests whose result has not been delivered, whether it has arrived or not. */
  readonly unclaimed: () => ReadonlyArray<RequestKey>
  /** The batches that have not ended. */
  readonly inProgress: () => ReadonlyArray<BatchRow>
  /** Whether a batch of the API is in this journal. */
  readonly knows: (id: string) => boolean
  /** The requests of a batch that have no result yet. */
  readonly unanswered: (seq: number) => ReadonlyArray<string>
  /** Removes ended batches that were created before this time, and their results. */
  readonly prune: (before: number) => void
}

/** A request by its custom id, and by the digest that all tasks with the same request share. */
export interface RequestKey {
  readonly key: string
  readonly digest: string
}

/** A request that was sent, or is about to be, and its result where there is one. */
export interface Entry {
  readonly seq: number
  readonly result: BatchResult | null
}

/** A batch that has not ended; `id` is null while it is unknown whether the batch exists. */
export interface BatchRow {
  readonly seq: number
  readonly id: string | null
  readonly requests: number
  readonly createdAt: number
}

const schema = `
  CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE,
    requests INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX batches_under_way ON batches (seq) WHERE ended = 0;

  CREATE TABLE items (
    key TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,
    batch INTEGER NOT NULL,
    answer TEXT,
    claimed INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX items_by_batch ON items (batch);
  CREATE INDEX items_unclaimed ON items (key) WHERE claimed = 0;
`

/** Version 1 kept replies instead of messages, whose cost depends on the prices at the time of their delivery. */
const keepMessages = `
  UPDATE items SET answer = json_object('_tag', 'Replied', 'message', json_object(
    'id', answer ->> '$.reply.id',
    'model', answer ->> '$.reply.model',
    'content', json(answer -> '$.reply.content'),
    'stop_reason', answer ->> '$.reply.stopReason',
    'stop_details', json_object('explanation', answer ->> '$.reply.refusal'),
    'usage', iif(answer -> '$.reply.unmetered' IS NULL, json_object(
      'input_tokens', answer -> '$.reply.tokens.input',
      'output_tokens', answer -> '$.reply.tokens.output',
      'cache_read_input_tokens', answer -> '$.reply.tokens.cacheRead',
      'cache_creation', json_object(
        'ephemeral_5m_input_tokens', answer -> '$.reply.tokens.cacheWrite5m',
        'ephemeral_1h_input_tokens', answer -> '$.reply.tokens.cacheWrite1h'
      )
    ), NULL)
  ))
  WHERE answer ->> '$._tag' = 'Replied';
`

const format: SqliteFile.Format = {
  label: "batch journal",
  // "BATB"
  applicationId: 0x42415442,
  version: 2,
  migrate: (db, from) => {
    if (from === 0) db.exec(schema)
    if (from === 1) db.exec(keepMessages)
  },
  ifDamaged: () => "move the file away, and the requests that are in a batch are sent again"
}

/** The journal in its file. */
export interface JournalFile {
  /** Runs a body without interleaving with anything else in this process. Fails with one sentence for a person. */
  readonly use: <A>(body: (journal: Journal) => A) => Effect.Effect<A, ClaudeError>
}

/**
 * Opens the journal for this process alone, and creates the file where there is none. A second process could not
 * distinguish a batch that the first one is creating from a batch whose creator has died.
 */
export const open = Effect.fnUntraced(
  function* (filename: string): Effect.fn.Return<JournalFile, SqliteFile.SqliteFileError, Scope.Scope> {
    yield* Effect.mapError(SqliteFile.lock(format, filename), usedByAnotherRun(filename))
    const { attempt, db, transact } = yield* SqliteFile.open({
      filename,
      format,
      pragmas: "PRAGMA synchronous = FULL"
    })
    const journal = yield* attempt(() => make(db, transact))
    return {
      use: (body) =>
        Effect.mapError(
          attempt(() => body(journal)),
          toClaudeError
        )
    }
  },
  (opened) => Effect.mapError(opened, toClaudeError)
)

/** The batches that have not ended, read without the lock: a run can be using the journal. */
export const inProgress = (filename: string): Effect.Effect<ReadonlyArray<BatchRow>, ClaudeError> =>
  Effect.gen(function* () {
    if (!existsSync(filename)) return []
    const { attempt, db } = yield* SqliteFile.openReadOnly(format, filename, 1000)
    // A file that was just created has no tables yet.
    return yield* attempt(() => (SqliteFile.versionOf(db) === 0 ? [] : selectRows(db.prepare(selectInProgress))))
  }).pipe(Effect.scoped, Effect.mapError(toClaudeError))

const usedByAnotherRun = (filename: string) => (error: SqliteFile.SqliteFileError) =>
  error.problem === "Locked"
    ? new SqliteFile.SqliteFileError({
        problem: "Locked",
        message: `Another run uses the batch journal ${filename}: wait until it ends, or stop it.`
      })
    : error

/** Nothing may be sent without the journal, so every error of it ends the run. */
const toClaudeError = ({ cause, message }: SqliteFile.SqliteFileError): ClaudeError =>
  new ClaudeError({
    reason: "Fatal",
    type: "journal",
    message,
    usage: Usage.zero,
    ...(cause === undefined ? undefined : { cause })
  })

const ResultText = Schema.fromJsonString(BatchResult)
const decodeResult = Schema.decodeUnknownSync(ResultText)
const encodeResult = Schema.encodeSync(ResultText)

const decodeBatch = Schema.decodeUnknownSync(
  Schema.Struct({
    seq: Schema.Int,
    id: Schema.NullOr(Schema.String),
    requests: Schema.Int,
    createdAt: Schema.Int
  })
)
const decodeItem = Schema.decodeUnknownSync(Schema.Struct({ seq: Schema.Int, answer: Schema.NullOr(Schema.String) }))
const decodeUnclaimed = Schema.decodeUnknownSync(Schema.Struct({ key: Schema.String, digest: Schema.String }))
const decodeKey = Schema.decodeUnknownSync(Schema.Struct({ key: Schema.String }))

const selectInProgress =
  "SELECT seq, id, requests, created_at AS createdAt FROM batches WHERE ended = 0 ORDER BY created_at, seq"

const selectRows = (statement: StatementSync): ReadonlyArray<BatchRow> => statement.all().map((row) => decodeBatch(row))

/** All functions throw what SQLite throws. */
const make = (db: DatabaseSync, transact: SqliteFile.SqliteFile["transact"]): Journal => {
  const find = db.prepare("SELECT batch AS seq, answer FROM items WHERE key = ?")
  const addBatch = db.prepare("INSERT INTO batches (requests, created_at) VALUES (?, ?)")
  const addItem = db.prepare(
    `INSERT INTO items (key, request, batch) VALUES (?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET batch = excluded.batch, answer = NULL, claimed = 0`
  )
  const setCreated = db.prepare("UPDATE batches SET id = ? WHERE seq = ?")
  const dropItems = db.prepare("DELETE FROM items WHERE batch = ? AND answer IS NULL")
  const dropBatch = db.prepare(
    "DELETE FROM batches WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM items WHERE batch = batches.seq)"
  )
  const setResult = db.prepare(
    "UPDATE items SET answer = ?, claimed = ? WHERE key = ? AND batch = ? AND answer IS NULL"
  )
  const setClaimed = db.prepare("UPDATE items SET claimed = 1 WHERE key = ?")
  const unclaimed = db.prepare("SELECT key, request AS digest FROM items WHERE claimed = 0")
  const setEnded = db.prepare("UPDATE batches SET ended = 1 WHERE seq = ?")
  const inProgress = db.prepare(selectInProgress)
  const knows = db.prepare("SELECT 1 FROM batches WHERE id = ?")
  const unanswered = db.prepare("SELECT key FROM items WHERE batch = ? AND answer IS NULL")
  const pruneItems = db.prepare(
    "DELETE FROM items WHERE batch IN (SELECT seq FROM batches WHERE ended = 1 AND created_at < ?)"
  )
  const pruneBatches = db.prepare("DELETE FROM batches WHERE ended = 1 AND created_at < ?")

  return {
    find: (key) => {
      const row = find.get(key)
      if (row === undefined) return undefined
      const item = decodeItem(row)
      return { seq: item.seq, result: item.answer === null ? null : decodeResult(item.answer) }
    },
    recordIntent: (requests, now) =>
      transact(() => {
        const seq = Number(addBatch.run(requests.length, Math.floor(now)).lastInsertRowid)
        for (const { digest, key } of requests) addItem.run(key, digest, seq)
        return seq
      }),
    recordCreated: (seq, id) => void setCreated.run(id, seq),
    drop: (seq) =>
      transact(() => {
        dropItems.run(seq)
        dropBatch.run(seq)
        setEnded.run(seq)
      }),
    recordResults: (seq, results, isWaiting) =>
      transact(() =>
        results.flatMap(([key, result]) =>
          setResult.run(encodeResult(result), isWaiting(key) ? 1 : 0, key, seq).changes === 0 ? [] : [key]
        )
      ),
    recordEnded: (seq) => void setEnded.run(seq),
    markClaimed: (key) => {
      // Without a flush of the disk: if the mark is lost, a task gets the reply that another one had to the same request.
      db.exec("PRAGMA synchronous = NORMAL")
      setClaimed.run(key)
      db.exec("PRAGMA synchronous = FULL")
    },
    unclaimed: () => unclaimed.all().map((row) => decodeUnclaimed(row)),
    inProgress: () => selectRows(inProgress),
    knows: (id) => knows.get(id) !== undefined,
    unanswered: (seq) => unanswered.all(seq).map((row) => decodeKey(row).key),
    prune: (before) =>
      transact(() => {
        pruneItems.run(before)
        pruneBatches.run(before)
      })
  }
}
