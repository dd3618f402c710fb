import type { Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** How many tasks of the key of a row of `key_turns` are in progress. */
const runningOf = (queue: string) => `(
  SELECT COUNT(*) FROM tasks t INDEXED BY tasks_busy
  WHERE t.status = 'in_progress' AND t.queue = ${queue} AND t.concurrency_key = key_turns.concurrency_key)`

/** The statements of the lines of concurrency keys. */
export const statements = ({ all, first, run }: Preparing) => ({
  /** The highest priority, up to the given one, that has keys in its line. */
  keyPriority: first<[queue: number | null, upTo: number]>(
    "SELECT priority FROM key_turns WHERE queue = ? AND priority <= ? ORDER BY priority DESC LIMIT 1"
  ),

  /** Finds a key that is not busy and whose first task is due. Those at the end of the line were served last. */
  dueKey: first<[queue: number | null, now: number, maxPerKey: number]>(`
      SELECT 1 FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND available_at <= ?2 AND ${runningOf("?1")} < ?3
      ORDER BY priority DESC, turn LIMIT 1`),

  /** When the first task of a key that is not busy is available. */
  nextKey: first<[queue: number | null, maxPerKey: number]>(`
      SELECT MIN(available_at) AS available_at FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND ${runningOf("?1")} < ?2`),

  /** Puts the key of a pending task into the line; a trigger does so when a task becomes pending again or is unblocked. */
  enterKeyLine: run<[queue: number, priority: number, key: string, availableAt: number]>(`
      INSERT INTO key_turns
      SELECT ?1, ?2, ?3, COALESCE(MAX(turn), 0) + 1, ?4 FROM key_turns WHERE queue = ?1 AND priority = ?2
      ON CONFLICT DO UPDATE SET available_at = excluded.available_at WHERE excluded.available_at < available_at`),

  /** The first keys of a line that are not busy and whose first task is due, and how many tasks of each are in progress. */
  keysInTurn: all<[queue: number, priority: number, now: number, maxPerKey: number, limit: number]>(`
      SELECT concurrency_key, ${runningOf("?1")} AS running FROM key_turns INDEXED BY key_turns_in_order
      WHERE queue = ?1 AND priority = ?2 AND available_at <= ?3 AND running < ?4
      ORDER BY turn LIMIT +?5`),

  lastTurn: first<[queue: number, priority: number]>(
    "SELECT MAX(turn) AS turn FROM key_turns WHERE queue = ? AND priority = ?"
  ),

  endTurn: run<[turn: number, availableAt: number, queue: number, priority: number, key: string]>(
    "UPDATE key_turns SET turn = ?, available_at = ? WHERE queue = ? AND priority = ? AND concurrency_key = ?"
  ),

  keyAvailable: run<[availableAt: number, queue: number, priority: number, key: string]>(
    "UPDATE key_turns SET available_at = ? WHERE queue = ? AND priority = ? AND concurrency_key = ?"
  ),

  removeKey: run<[queue: number, priority: number, key: string]>(
    "DELETE FROM key_turns WHERE queue = ? AND priority = ? AND concurrency_key = ?"
  )
})

/** The conditions of a claim. */
interface Wanted {
  readonly queue: number
  readonly limit: number
  readonly now: number
  readonly maxPerKey: number
}

/**
 * The claimable rows of a queue that has tasks with concurrency keys, in the order of claiming: one priority after another,
 * until there are enough.
 */
export const claimable = (sql: Statements, wanted: Wanted): ReadonlyArray<Rows.Row> => {
  const { limit, now, queue } = wanted
  const rows: Array<Rows.Row> = []
  /** How many rows of each key are among `rows`. */
  const taken = new Map<string, number>()
  let upTo = Number.MAX_SAFE_INTEGER
  while (rows.length < limit) {
    const levels = sql.parts.map((part) => part.priority(queue, upTo))
    const keys = sql.keyPriority(queue, upTo)
    const priority = Math.max(...[...levels, keys].map((level) => Number(level?.priority ?? -Infinity)))
    if (priority === -Infinity) break
    const left = limit - rows.length
    const plain = sql.parts.flatMap((part, index) =>
      levels[index]?.priority === priority ? part.claimable(queue, priority, now, left) : []
    )
    const keyed = keys?.priority === priority ? inTurn(sql, { ...wanted, limit: left }, priority, taken) : []
    for (const row of merge(plain, keyed).slice(0, left)) {
      const key = Rows.concurrencyKey(row)
      if (key !== null) taken.set(key, (taken.get(key) ?? 0) + 1)
      rows.push(row)
    }
    upTo = priority - 1
  }
  return rows
}

/** The claimable rows of a priority that have a key, in the order of turns. */
const inTurn = (
  sql: Statements,
  { limit, maxPerKey, now, queue }: Wanted,
  priority: number,
  taken: ReadonlyMap<string, number>
): ReadonlyArray<Rows.Row> => {
  const parts = partsOf(sql, queue)
  for (;;) {
    const ofKeys: Array<ReadonlyArray<Rows.Row>> = []
    let isStale = false
    // Keys of which this claim has taken tasks with a higher priority may have no room.
    for (const row of sql.keysInTurn(queue, priority, now, maxPerKey, limit + taken.size)) {
      const key = String(row.concurrency_key)
      const room = Math.min(maxPerKey - Number(row.running) - (taken.get(key) ?? 0), limit)
      if (room < 1) continue
      const rows = parts.flatMap((part) => part.claimableOfKey(queue, priority, key, now, room)).slice(0, room)
      if (rows.length > 0) {
        ofKeys.push(rows)
        if (ofKeys.length === limit) break
      } else {
        correct(sql, queue, priority, key, parts)
        isStale = true
      }
    }
    if (!isStale || ofKeys.length === limit) return roundRobin(ofKeys)
  }
}

/** The first of each, then the second of each, and so on. */
const roundRobin = (ofKeys: ReadonlyArray<ReadonlyArray<Rows.Row>>): ReadonlyArray<Rows.Row> => {
  if (ofKeys.every(({ length }) => length === 1)) return ofKeys.flat()
  const inTurn: Array<Rows.Row> = []
  for (let round = 0; ofKeys.some(({ length }) => length > round); round++) {
    for (const rows of ofKeys) {
      const row = rows[round]
      if (row !== undefined) inTurn.push(row)
    }
  }
  return inTurn
}

/** Takes from the two lists the first that is before the other's first. */
const merge = (plain: ReadonlyArray<Rows.Row>, keyed: ReadonlyArray<Rows.Row>): ReadonlyArray<Rows.Row> => {
  if (plain.length === 0) return keyed
  const merged: Array<Rows.Row> = []
  let next = 0
  for (const row of keyed) {
    for (let other = plain[next]; other !== undefined && Rows.isBefore(other, row); other = plain[++next]) {
      merged.push(other)
    }
    merged.push(row)
  }
  return [...merged, ...plain.slice(next)]
}

/** Puts the keys of claimed rows at the end of their lines, in the order of the rows. */
export const endTurns = (sql: Statements, queue: number, rows: ReadonlyArray<Rows.Row>): void => {
  const parts = partsOf(sql, queue)
  /** The last turn of each priority. */
  const turns = new Map<number, number>()
  for (const row of rows) {
    const key = Rows.concurrencyKey(row)
    if (key === null) continue
    const priority = Rows.priority(row)
    const turn = 1 + (turns.get(priority) ?? Number(sql.lastTurn(queue, priority)?.turn))
    turns.set(priority, turn)
    const availableAt = firstAvailable(parts, queue, priority, key)
    if (availableAt === Infinity) sql.removeKey(queue, priority, key)
    else sql.endTurn(turn, availableAt, queue, priority, key)
  }
}

/** The kinds of tasks of which a queue has some with a key. */
const partsOf = (sql: Statements, queue: number): Statements["parts"] =>
  sql.parts.filter((part) => part.ofAnyKey(queue) !== undefined)

/** Corrects when the first task of a key is available, or takes the key out of its line. */
const correct = (sql: Statements, queue: number, priority: number, key: string, parts: Statements["parts"]): void => {
  const availableAt = firstAvailable(parts, queue, priority, key)
  if (availableAt === Infinity) sql.removeKey(queue, priority, key)
  else sql.keyAvailable(availableAt, queue, priority, key)
}

/** When the first task of a key is available, in epoch milliseconds. */
const firstAvailable = (parts: Statements["parts"], queue: number, priority: number, key: string): number =>
  Math.min(...parts.map((part) => Number(part.firstOfKey(queue, priority, key)?.available_at ?? Infinity)))

/** When the first task of a key that is not busy is available, in epoch milliseconds. */
export const nextAvailable = (sql: Statements, queue: number | null, maxPerKey: number): number =>
  Number(sql.nextKey(queue, maxPerKey)?.available_at ?? Infinity)
