import * as Schema from "effect/Schema"
import type { DatabaseSync } from "node:sqlite"
import { Answer } from "./answer.ts"

/** "BATB": how a journal is recognised as ours. */
export const applicationId = 0x42415442
export const version = 1

/**
 * What is known of the requests that are, or may be, in a batch. Everything is written before it is done:
 *
 * 1. `intend`: these requests are about to become a batch. Whoever finds that after a crash cannot know whether the
 *    batch exists, and looks for it among the batches that the API lists.
 * 2. `created`: it exists, under this id.
 * 3. `settle`: these of its requests have an answer. It stays after it was handed out, because what the answer was for
 *    is not durable yet: the same request of a later run gets it again.
 * 4. `ended`: all of them have.
 */
export interface Journal {
  readonly find: (key: string) => Entry | undefined
  /** The new batch's number in this journal. What its requests brought before, an error for instance, is forgotten. */
  readonly intend: (items: ReadonlyArray<Item>, now: number) => number
  readonly created: (seq: number, id: string) => void
  /** The batch does not exist: its requests are as if they had never been asked. Those that have an answer keep it. */
  readonly drop: (seq: number) => void
  /** Returns the keys that had no answer until now. `isAwaited` says whose answer is handed out at once. */
  readonly settle: (
    seq: number,
    answers: ReadonlyArray<readonly [key: string, answer: Answer]>,
    isAwaited: (key: string) => boolean
  ) => ReadonlyArray<string>
  /** An answer is handed out that nobody waited for when it came. */
  readonly claim: (key: string) => void
  /** What has been handed out to nobody so far, answered or not. */
  readonly unclaimed: () => ReadonlyArray<Item>
  readonly ended: (seq: number) => void
  readonly underWay: () => ReadonlyArray<BatchRow>
  /** Whether a batch of the API's is one of ours already. */
  readonly knows: (id: string) => boolean
  /** The requests of a batch that have no answer yet. */
  readonly unanswered: (seq: number) => ReadonlyArray<string>
  /** Forgets what has ended and is older, answers and all. */
  readonly prune: (before: number) => void
}

/** A request: its custom id, and what is the same for all tasks that ask the same. */
export interface Item {
  readonly key: string
  readonly digest: string
}

/** A request that was sent, or is about to be; its answer, when there is one. */
export interface Entry {
  readonly seq: number
  readonly answer: Answer | null
}

/** A batch that has not ended; `id` is null while nobody knows whether it exists. */
export interface BatchRow {
  readonly seq: number
  readonly id: string | null
  readonly requests: number
  readonly createdAt: number
}

export const schema = `
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

const AnswerText = Schema.fromJsonString(Answer)
const decodeAnswer = Schema.decodeUnknownSync(AnswerText)
const encodeAnswer = Schema.encodeSync(AnswerText)

const decodeRow = Schema.decodeUnknownSync(
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

const selectUnderWay =
  "SELECT seq, id, requests, created_at AS createdAt FROM batches WHERE ended = 0 ORDER BY created_at, seq"

export const underWay = (db: DatabaseSync): ReadonlyArray<BatchRow> =>
  db
    .prepare(selectUnderWay)
    .all()
    .map((row) => decodeRow(row))

/** All functions throw what SQLite throws. */
export const make = (db: DatabaseSync): Journal => {
  const find = db.prepare("SELECT batch AS seq, answer FROM items WHERE key = ?")
  const addBatch = db.prepare("INSERT INTO batches (requests, created_at) VALUES (?, ?)")
  const addItem = db.prepare(
    `INSERT INTO items (key, request, batch) VALUES (?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET batch = excluded.batch, answer = NULL, claimed = 0`
  )
  const created = db.prepare("UPDATE batches SET id = ? WHERE seq = ?")
  const dropItems = db.prepare("DELETE FROM items WHERE batch = ? AND answer IS NULL")
  const dropBatch = db.prepare(
    "DELETE FROM batches WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM items WHERE batch = batches.seq)"
  )
  const answer = db.prepare("UPDATE items SET answer = ?, claimed = ? WHERE key = ? AND batch = ? AND answer IS NULL")
  const claim = db.prepare("UPDATE items SET claimed = 1 WHERE key = ?")
  const unclaimed = db.prepare("SELECT key, request AS digest FROM items WHERE claimed = 0")
  const ended = db.prepare("UPDATE batches SET ended = 1 WHERE seq = ?")
  const selectBatches = db.prepare(selectUnderWay)
  const knows = db.prepare("SELECT 1 FROM batches WHERE id = ?")
  const unanswered = db.prepare("SELECT key FROM items WHERE batch = ? AND answer IS NULL")
  const pruneItems = db.prepare(
    "DELETE FROM items WHERE batch IN (SELECT seq FROM batches WHERE ended = 1 AND created_at < ?)"
  )
  const pruneBatches = db.prepare("DELETE FROM batches WHERE ended = 1 AND created_at < ?")
  const transact = transacting(db)

  return {
    find: (key) => {
      const row = find.get(key)
      if (row === undefined) return undefined
      const item = decodeItem(row)
      return { seq: item.seq, answer: item.answer === null ? null : decodeAnswer(item.answer) }
    },
    intend: (items, now) =>
      transact(() => {
        const seq = Number(addBatch.run(items.length, Math.floor(now)).lastInsertRowid)
        for (const { digest, key } of items) addItem.run(key, digest, seq)
        return seq
      }),
    created: (seq, id) => void created.run(id, seq),
    drop: (seq) =>
      transact(() => {
        dropItems.run(seq)
        dropBatch.run(seq)
        ended.run(seq)
      }),
    settle: (seq, answers, isAwaited) =>
      transact(() =>
        answers.flatMap(([key, value]) =>
          answer.run(encodeAnswer(value), isAwaited(key) ? 1 : 0, key, seq).changes === 0 ? [] : [key]
        )
      ),
    claim: (key) => {
      // Not worth a flush of the disk: were it lost, a task would get the answer that another one had to the same request.
      db.exec("PRAGMA synchronous = NORMAL")
      claim.run(key)
      db.exec("PRAGMA synchronous = FULL")
    },
    unclaimed: () => unclaimed.all().map((row) => decodeUnclaimed(row)),
    ended: (seq) => void ended.run(seq),
    underWay: () => selectBatches.all().map((row) => decodeRow(row)),
    knows: (id) => knows.get(id) !== undefined,
    unanswered: (seq) => unanswered.all(seq).map((row) => decodeKey(row).key),
    prune: (before) =>
      transact(() => {
        pruneItems.run(before)
        pruneBatches.run(before)
      })
  }
}

/** All or nothing, and durable when it returns. */
export const transacting =
  (db: DatabaseSync) =>
  <A>(body: () => A): A => {
    db.exec("BEGIN IMMEDIATE")
    try {
      const result = body()
      db.exec("COMMIT")
      return result
    } catch (cause) {
      if (db.isTransaction) db.exec("ROLLBACK")
      throw cause
    }
  }
