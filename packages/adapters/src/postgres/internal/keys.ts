import * as Effect from "effect/Effect"
import type { ClaimRequest } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Database, int, number, numbers, text, texts } from "./database.ts"
import { isClaimable, isKeyed, level, runningOf } from "./claimable.ts"
import { type Names, rowsOf } from "./names.ts"
import type { Statements } from "./statements.ts"

/** The statements of the lines of concurrency keys. */
export const statements = (names: Names) => {
  const { keyTurns, tasks } = names
  /** Whether a queue has keys with tasks of this priority alone, so that no other line has to be looked at. */
  const isOnlyLine = `NOT (
    EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority > $2)
    OR EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority < $2))`
  return {
    /** Of a queue that has keys: the highest priority, up to the given one, with pending tasks that wait for no other. */
    keyedPriority: `
      SELECT greatest(
        (SELECT t.priority FROM ${tasks} t WHERE ${isClaimable("$1")} AND ${level} <= $2::bigint * 2 + 1
          ORDER BY ${level} DESC LIMIT 1),
        (SELECT k.priority FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority <= $2 ORDER BY k.priority DESC LIMIT 1)
      )::float8 AS priority, EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1) AS "hasKeys"`,

    /**
     * Locks the first keys of a line that are not busy, and what other lines have of these keys: a key that another claim is
     * using is passed over. Whether a key is busy is certain only for a statement that follows: it sees the rows committed
     * before the lock.
     */
    lockKeys: `
      WITH mine AS MATERIALIZED (
        SELECT k.concurrency_key, k.turn, k.ctid AS place FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority = $2 AND k.available_at <= now()
          AND ${runningOf(names, "$1", "k.concurrency_key")} < $3
        ORDER BY k.turn LIMIT $4 FOR UPDATE SKIP LOCKED
      ),
      others AS MATERIALIZED (
        SELECT k.concurrency_key FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority <> $2 AND k.concurrency_key IN (SELECT concurrency_key FROM mine)
        FOR UPDATE SKIP LOCKED
      )
      SELECT m.concurrency_key AS key, m.place::text AS place FROM mine m
      WHERE CASE WHEN ${isOnlyLine} THEN true ELSE (
        SELECT count(*) FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority <> $2 AND k.concurrency_key = m.concurrency_key
      ) = (SELECT count(*) FROM others o WHERE o.concurrency_key = m.concurrency_key) END
      ORDER BY m.turn`,

    /**
     * The first tasks without a key of a priority, which it locks, and the first tasks of these keys: of each kind as many as
     * the key has room for, and the next one, which may not be available yet. Locking a key keeps other claims from its tasks.
     */
    candidates: `
      WITH levels AS (SELECT $2::bigint * 2 + x.started AS level FROM (VALUES (1), (0)) AS x (started)),
      plain AS MATERIALIZED (
        SELECT next.* FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq, t.available_at, l.level FROM ${tasks} t
          WHERE ${isClaimable("$1")} AND ${level} = l.level AND t.available_at <= now()
          ORDER BY t.available_at, t.seq LIMIT $3 FOR UPDATE SKIP LOCKED
        ) next LIMIT $3
      ),
      keys AS MATERIALIZED (
        SELECT x.key, x.n, greatest(0, least($3, $4 - ${runningOf(names, "$1", "x.key")})) AS room
        FROM unnest($5::text[]) WITH ORDINALITY AS x (key, n)
      ),
      found AS (
        SELECT NULL AS key, 0 AS n, 1 AS room, seq, available_at, level FROM plain
        UNION ALL
        SELECT k.key, k.n, k.room, next.* FROM keys k CROSS JOIN levels l CROSS JOIN LATERAL (
          SELECT t.seq, t.available_at, l.level FROM ${tasks} t
          WHERE ${isKeyed("$1", "k.key")} AND ${level} = l.level
          ORDER BY t.available_at, t.seq LIMIT k.room + 1
        ) next
      )
      SELECT key, room::float8 AS room, seq::float8 AS seq, level = $2::bigint * 2 + 1 AS "isStarted",
        available_at <= now() AS "isDue", round(date_part('epoch', available_at) * 1000000) AS "availableAt"
      FROM found ORDER BY n, level DESC, available_at, seq`,

    /**
     * Puts keys at the end of their line, in the order of `$2`; those with null there keep their place. Writes when the first
     * task of each is available, in microseconds, and takes keys out of the line that have none. This transaction has locked
     * the rows, so that they are still where it found them.
     */
    endTurns: `
      WITH first AS MATERIALIZED (
        SELECT x.place::tid AS place, x.n, timestamptz 'epoch' + x.at * interval '1 microsecond' AS at
        FROM ${rowsOf({ place: "text", n: "float8", at: "float8" })} x
      ),
      gone AS (
        DELETE FROM ${keyTurns} k USING first f WHERE k.ctid = f.place AND f.at IS NULL
      )
      UPDATE ${keyTurns} k SET
        available_at = f.at, turn = CASE WHEN f.n IS NULL THEN k.turn ELSE ${names.seqAt("f.n::bigint")} END
      FROM first f WHERE k.ctid = f.place AND f.at IS NOT NULL`
  }
}

/** A task that may be claimed, or the task of its key that follows. */
interface Candidate {
  readonly key: string | null
  /** How many tasks of the key may be claimed. */
  readonly room: number
  readonly seq: number
  readonly isStarted: boolean
  readonly isDue: boolean
  /** In microseconds since the epoch. */
  readonly availableAt: number
}

/**
 * Claims tasks of a queue that has tasks with concurrency keys, one priority after another, until there are enough. Several
 * statements in one transaction: each sees the rows committed before the locks of the ones before it.
 */
export const claim = Effect.fnUntraced(function* <Row extends { readonly seq: number }>(
  db: Database,
  statements: Statements,
  { call, leaseMillis, limit, maxPerKey, owner, queue, started }: ClaimRequest,
  options: {
    /** Whether the transaction has started the probe of a paused queue. */
    readonly isProbe: boolean
  }
): Effect.fn.Return<{ readonly rows: ReadonlyArray<Row>; readonly hasKeys: boolean }, TaskStoreError> {
  const rows: Array<Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  let queueHasKeys = false
  const corrected = new Set<string>()
  while (rows.length < limit) {
    const level = yield* db.one<{ readonly priority: number | null; readonly hasKeys: boolean }>(
      statements.keyedPriority,
      [text(queue), int(upTo)]
    )
    queueHasKeys ||= level.hasKeys
    if (level.priority === null) break
    const line = [text(queue), int(level.priority)]
    const left = limit - rows.length
    const locked = yield* db.run<{ readonly key: string; readonly place: string }>(statements.lockKeys, [
      ...line,
      int(maxPerKey),
      int(left)
    ])
    const keys = locked.map(({ key }) => key)
    const found = yield* db.run<Candidate>(statements.candidates, [...line, int(left), int(maxPerKey), texts(keys)])
    const candidates = merge(found)
    const chosen = candidates.slice(0, left)
    const taken = new Map<number, Row>()
    if (chosen.length > 0) {
      const claimed = yield* db.run<Row>(options.isProbe ? statements.claimLockedProbe : statements.claimLocked, [
        numbers(chosen.map(({ seq }) => seq)),
        text(owner),
        number(leaseMillis),
        number(call),
        text(queue),
        int(Math.max(0, started - rows.length))
      ])
      // The queue was paused, or other transactions are writing these tasks.
      if (claimed.length === 0) break
      for (const row of claimed) taken.set(row.seq, row)
      for (const { seq } of chosen) {
        const row = taken.get(seq)
        if (row !== undefined) rows.push(row)
      }
    }
    const served = new Set(candidates.map(({ key }) => key))
    const idle = keys.filter((key) => !served.has(key))
    const turns = new Map<string, number | null>(idle.map((key) => [key, null]))
    for (const [index, { key }] of chosen.entries()) if (key !== null) turns.set(key, index + 1)
    if (turns.size > 0) {
      /** When the first of the remaining tasks of each key is available. */
      const available = new Map<string | null, number>()
      for (const { availableAt, key, seq } of found) {
        if (!taken.has(seq)) available.set(key, Math.min(availableAt, available.get(key) ?? Infinity))
      }
      const places = new Map(locked.map((row) => [row.key, row.place]))
      yield* db.run(statements.endTurns, [
        texts(Array.from(turns.keys(), (key) => places.get(key) ?? null)),
        numbers([...turns.values()]),
        numbers(Array.from(turns.keys(), (key) => available.get(key) ?? null))
      ])
    }
    // Keys without a task, which are out of the line now, may have taken the places of others. Those that come again have a
    // task that another connection is writing.
    const before = corrected.size
    for (const key of idle) corrected.add(`${level.priority} ${key}`)
    if (corrected.size === before || chosen.length === left) upTo = level.priority - 1
  }
  return { rows, hasKeys: queueHasKeys }
})

/**
 * The order of claiming within a priority: the first task without a key, or the first one of the first key, whichever
 * has had an attempt, or is available for longer. The first tasks of all keys come before the second ones.
 */
const merge = (found: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  const plain = found.filter(({ key }) => key === null)
  const merged: Array<Candidate> = []
  let next = 0
  for (const candidate of inRounds(found.filter(({ key }) => key !== null))) {
    for (let other = plain[next]; other !== undefined && isBefore(other, candidate); other = plain[++next]) {
      merged.push(other)
    }
    merged.push(candidate)
  }
  return [...merged, ...plain.slice(next)]
}

const isBefore = (left: Candidate, right: Candidate): boolean => {
  if (left.isStarted !== right.isStarted) return left.isStarted
  return left.availableAt === right.availableAt ? left.seq < right.seq : left.availableAt < right.availableAt
}

const inRounds = (keyed: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  const rounds: Array<Array<Candidate>> = []
  const counts = new Map<string | null, number>()
  for (const candidate of keyed) {
    const round = counts.get(candidate.key) ?? 0
    if (!candidate.isDue || round >= candidate.room) continue
    counts.set(candidate.key, round + 1)
    const others = rounds[round]
    if (others === undefined) rounds.push([candidate])
    else others.push(candidate)
  }
  return rounds.flat()
}
