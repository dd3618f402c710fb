import * as Effect from "effect/Effect"
import type { ClaimRequest } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Database, int, number, text, texts } from "./database.ts"
import { inOrder, isClaimable, isKeyed, level, runningOf } from "./claimable.ts"
import type { Names } from "./names.ts"
import * as Pauses from "./pauses.ts"
import type { Statements } from "./statements.ts"

/** The statements of the lines of concurrency keys. */
export const statements = (names: Names) => {
  const { keyTurns, tasks } = names
  const priority = "(SELECT priority FROM line)"
  /** Whether a queue has keys with tasks of this priority alone, so that no other line has to be looked at. */
  const isOnlyLine = `NOT (
    EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority > ${priority})
    OR EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority < ${priority}))`
  return {
    /**
     * Finds the highest priority, up to the given one, with pending tasks that wait for no other. Locks the first keys of its
     * line that are not busy, and what other lines have of these keys: a key that another claim is using is passed over.
     * Whether a key is busy is certain only for a statement that follows: it sees the rows committed before the lock.
     */
    lockKeys: `
      WITH line AS MATERIALIZED (
        SELECT greatest(
          (SELECT t.priority FROM ${tasks} t WHERE ${isClaimable("$1")} AND ${level} <= $2::bigint * 2 + 1
            ORDER BY ${level} DESC LIMIT 1),
          (SELECT k.priority FROM ${keyTurns} k WHERE k.queue = $1 AND k.priority <= $2 ORDER BY k.priority DESC LIMIT 1)
        ) AS priority
      ),
      mine AS MATERIALIZED (
        SELECT k.concurrency_key, k.turn, k.ctid AS place FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority = ${priority} AND k.available_at <= now()
          AND ${runningOf(names, "$1", "k.concurrency_key")} < $3
        ORDER BY k.turn LIMIT $4 FOR UPDATE SKIP LOCKED
      ),
      others AS MATERIALIZED (
        SELECT k.concurrency_key FROM ${keyTurns} k
        WHERE k.queue = $1 AND k.priority <> ${priority} AND k.concurrency_key IN (SELECT concurrency_key FROM mine)
        FOR UPDATE SKIP LOCKED
      ),
      free AS (
        SELECT m.concurrency_key AS key, m.place::text AS place, m.turn FROM mine m
        WHERE CASE WHEN ${isOnlyLine} THEN true ELSE (
          SELECT count(*) FROM ${keyTurns} k
          WHERE k.queue = $1 AND k.priority <> ${priority} AND k.concurrency_key = m.concurrency_key
        ) = (SELECT count(*) FROM others o WHERE o.concurrency_key = m.concurrency_key) END
      )
      SELECT l.priority::float8 AS priority, EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $1) AS "hasKeys",
        ${Pauses.isPaused(names, "$1")} AS "isPaused", ${Pauses.isProbeDue(names, "$1")} AS "isProbeDue", f.key, f.place
      FROM line l LEFT JOIN free f ON true ORDER BY f.turn`
  }
}

/**
 * What a claim looks at of a priority: the first tasks without a key, which it locks, and the first tasks of the keys that the
 * transaction has locked, of each as many as it has room for and the next one. `nth` is the place of those to claim in the
 * order of claiming. The first tasks of all keys come in the order of the line, then the second ones. A task without a key
 * comes before the first of them that it precedes by its level, its time and its `seq`.
 */
export const found = (names: Names) => {
  const { tasks } = names
  return `
    levels AS (SELECT $7::bigint * 2 + x.started AS level FROM (VALUES (1), (0)) AS x (started)),
    plain AS MATERIALIZED (
      SELECT next.* FROM levels l CROSS JOIN LATERAL (
        SELECT t.seq, l.level, t.available_at FROM ${tasks} t
        WHERE ${isClaimable("$5")} AND ${level} = l.level AND t.available_at <= now()
        ORDER BY t.available_at, t.seq LIMIT $1 FOR UPDATE SKIP LOCKED
      ) next LIMIT $1
    ),
    keys AS MATERIALIZED (
      SELECT x.n, x.key, x.place::tid AS key_place,
        greatest(0, least($1, $8 - ${runningOf(names, "$5", "x.key")})) AS room
      FROM unnest($9::text[], $10::text[]) WITH ORDINALITY AS x (key, place, n)
    ),
    keyed AS (
      SELECT k.*, next.*, count(*) FILTER (WHERE next.available_at <= now())
        OVER (PARTITION BY k.n ORDER BY next.level DESC, next.available_at, next.seq) AS due
      FROM keys k LEFT JOIN LATERAL (
        SELECT tasks.* FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq, l.level, t.available_at FROM ${tasks} t
          WHERE ${isKeyed("$5", "k.key")} AND ${level} = l.level
          ORDER BY t.available_at, t.seq LIMIT k.room + 1
        ) tasks
      ) next ON true
    ),
    ranked AS (
      SELECT *, row_number() OVER (ORDER BY round IS NULL, level DESC, available_at, seq) AS rank
      FROM (
        SELECT n, key, key_place, seq, level, available_at,
          CASE WHEN available_at <= now() AND due <= room THEN due END AS round FROM keyed
        UNION ALL
        SELECT 0, NULL, NULL, seq, level, available_at, 0 FROM plain
      ) f
    ),
    found AS MATERIALIZED (
      SELECT *, CASE WHEN round IS NOT NULL THEN row_number() OVER (ORDER BY round IS NULL, turn, round, n) END AS nth
      FROM (
        SELECT *, CASE n WHEN 0 THEN rank ELSE max(rank) FILTER (WHERE n > 0) OVER (ORDER BY round, n) END AS turn
        FROM ranked
      ) f
    )`
}

/**
 * Puts the keys of the tasks to claim at the end of their line, in the order of claiming. Keys without such a task keep their
 * place, and are returned as `idle`. Writes when the first of the remaining tasks of each is available, and takes keys out of
 * the line that have none. The transaction has locked the rows, so that they are still where it found them. Changes nothing
 * when none of the tasks could be claimed.
 */
export const endTurns = ({ keyTurns, seqAt }: Names) => `
    ended AS MATERIALIZED (
      SELECT f.key, f.key_place, count(f.nth) = 0 AS is_idle, max(f.nth) FILTER (WHERE f.nth <= $1) AS nth,
        min(f.available_at) FILTER (
          WHERE f.nth IS NULL OR f.nth > $1 OR f.seq NOT IN (SELECT seq FROM claimed)
        ) AS available_at
      FROM found f
      WHERE f.n > 0 AND (EXISTS (SELECT FROM claimed) OR NOT EXISTS (SELECT FROM found WHERE nth <= $1))
      GROUP BY f.n, f.key, f.key_place HAVING count(f.nth) = 0 OR min(f.nth) <= $1
    ),
    gone AS (
      DELETE FROM ${keyTurns} k USING ended e WHERE k.ctid = e.key_place AND e.available_at IS NULL
    ),
    turned AS (
      UPDATE ${keyTurns} k SET
        available_at = e.available_at, turn = CASE WHEN e.nth IS NULL THEN k.turn ELSE ${seqAt("e.nth")} END
      FROM ended e WHERE k.ctid = e.key_place AND e.available_at IS NOT NULL
    )`

/** Whether a queue has tasks that can be claimed after those of a priority. */
export const hasMore = ({ keyTurns, tasks }: Names) => `
  (EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $5 AND k.priority < $7)
    OR EXISTS (SELECT FROM ${tasks} t WHERE ${isClaimable("$5")} AND ${level} < $7::bigint * 2))`

/** A key that was locked, or null where there is none, with its line. */
interface Locked {
  /** Null if no task can be claimed. */
  readonly priority: number | null
  readonly hasKeys: boolean
  readonly isPaused: boolean
  /** The queue is paused, and its next probe may go. */
  readonly isProbeDue: boolean
  readonly key: string | null
  readonly place: string | null
}

/** What a claim returns with each of its rows, or with a row without a task. */
interface Turns {
  /** How many tasks were chosen. */
  readonly chosen: number
  /** The locked keys that had no task to claim. */
  readonly idle: ReadonlyArray<string> | null
  readonly hasMore: boolean
}

interface Claimed<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly hasKeys: boolean
  /** Nothing was claimed because the queue is paused, and its next probe may go. */
  readonly isProbeDue: boolean
}

/**
 * Claims tasks of a queue that has tasks with concurrency keys, one priority after another, until there are enough. Two
 * statements for each, in one transaction: the second sees the rows committed before the locks of the first.
 */
export const claim = Effect.fnUntraced(function* <Row extends { readonly seq: number; readonly n: number }>(
  db: Database,
  statements: Statements,
  { call, leaseMillis, limit, maxPerKey, owner, queue, started }: ClaimRequest,
  options: {
    /** Whether the transaction has started the probe of a paused queue. */
    readonly isProbe: boolean
  }
): Effect.fn.Return<Claimed<Row>, TaskStoreError> {
  const statement = options.isProbe ? statements.claimKeyedProbe : statements.claimKeyed
  const rows: Array<Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  let hasKeys = false
  const corrected = new Set<string>()
  while (rows.length < limit) {
    const left = limit - rows.length
    const locked = yield* db.run<Locked>(statements.lockKeys, [text(queue), int(upTo), int(maxPerKey), int(left)])
    const [line] = locked
    if (line === undefined) break
    hasKeys ||= line.hasKeys
    // Whether it is still so is certain in the statement that claims.
    if (line.isPaused && !options.isProbe) return { rows, hasKeys, isProbeDue: line.isProbeDue }
    if (line.priority === null) break
    const keys = locked.filter(({ key }) => key !== null)
    const answer = yield* db.run<Turns & (Row | { readonly seq: null })>(statement, [
      int(left),
      text(owner),
      number(leaseMillis),
      number(call),
      text(queue),
      int(Math.max(0, started - rows.length)),
      int(line.priority),
      int(maxPerKey),
      texts(keys.map(({ key }) => key)),
      texts(keys.map(({ place }) => place))
    ])
    const claimed = answer.filter((row): row is Turns & Row => row.seq !== null)
    rows.push(...inOrder(claimed))
    const [turns] = answer
    // The queue was paused, or other transactions are writing these tasks.
    if (turns === undefined || (turns.chosen > 0 && claimed.length === 0)) break
    // Idle keys, which may be out of the line now, may have taken the places of others. Those that come again have a task that
    // another connection is writing.
    const before = corrected.size
    for (const key of turns.idle ?? []) corrected.add(`${line.priority} ${key}`)
    if (corrected.size > before && turns.chosen < left) continue
    if (!turns.hasMore) break
    upTo = line.priority - 1
  }
  return { rows, hasKeys, isProbeDue: false }
})
