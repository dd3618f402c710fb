import * as QueuePause from "@baton/core/QueuePause"
import type { ClaimRequest, ClaimRow } from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import * as Keys from "./keys.ts"
import * as Pauses from "./pauses.ts"
import type { Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import { count, later, noTasks } from "./transitions.ts"

type Json = string

/** The statements that claim tasks. */
export const statements = ({ arrays, changes, first }: Preparing) => {
  /** Claimable tasks with this kind of token: those without a key have one index, and those with a key another. */
  const part = (plain: string, keyed: string, token: "= 0" | "> 0") => ({
    /**
     * The highest priority, up to the given one, that has a claimable task, and when its earliest is available. Going
     * from one priority to the next finds a task that is due also below a million that are not due yet.
     */
    priority: first<[queue: number | null, upTo: number]>(`
      SELECT priority, available_at FROM tasks INDEXED BY ${plain}
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NULL AND token ${token} AND queue = ?
        AND priority <= ?
      ORDER BY priority DESC, available_at LIMIT 1`),

    /** Read before the update, because RETURNING costs twice as much as a SELECT. */
    claimable: arrays<[queue: number | null, priority: number, now: number, limit: number]>(`
      SELECT ${Rows.claimColumns}
      FROM tasks t INDEXED BY ${plain} CROSS JOIN task_inputs i USING (seq)
      WHERE t.status = 'pending' AND t.blockers = 0 AND t.concurrency_key IS NULL AND t.token ${token}
        AND t.queue = ? AND t.priority = ? AND t.available_at <= ?
      ORDER BY t.available_at, t.seq LIMIT +?`),

    claimableOfKey: arrays<[queue: number, priority: number, key: string, now: number, limit: number]>(`
      SELECT ${Rows.claimColumns}
      FROM tasks t INDEXED BY ${keyed} CROSS JOIN task_inputs i USING (seq)
      WHERE t.status = 'pending' AND t.blockers = 0 AND t.token ${token}
        AND t.queue = ? AND t.priority = ? AND t.concurrency_key = ? AND t.available_at <= ?
      ORDER BY t.available_at, t.seq LIMIT +?`),

    /** Whether a queue has such tasks with a key: if not, no key has to be looked at. */
    ofAnyKey: first<[queue: number]>(`
      SELECT 1 FROM tasks INDEXED BY ${keyed}
      WHERE status = 'pending' AND blockers = 0 AND concurrency_key IS NOT NULL AND token ${token} AND queue = ? LIMIT 1`),

    /** When the first task of a key is available. */
    firstOfKey: first<[queue: number, priority: number, key: string]>(`
      SELECT available_at FROM tasks INDEXED BY ${keyed}
      WHERE status = 'pending' AND blockers = 0 AND token ${token}
        AND queue = ? AND priority = ? AND concurrency_key = ?
      ORDER BY available_at LIMIT 1`)
  })

  return {
    /** The tasks that have had an attempt, and those that have not, in the order of claiming within a priority. */
    parts: [part("tasks_started", "tasks_keyed_started", "> 0"), part("tasks_claimable", "tasks_keyed", "= 0")],

    previousExecution: first<[task: number]>(`
      SELECT execution FROM attempts
      WHERE task = ? AND outcome IN ('retried', 'failed', 'completed') ORDER BY id DESC LIMIT 1`),

    tokenFloor: first<[]>("SELECT token_floor FROM control"),

    /**
     * Returns how many tasks it leased: a damaged index names others than the claimable ones. `OR FAIL`: an error rolls back
     * the whole transaction, so that SQLite need not keep the pages for undoing this statement alone.
     */
    lease: changes<
      [owner: string, now: number, leaseUntil: number, tokenFloor: number, seqs: Json, startedAt: number | null]
    >(`
      UPDATE OR FAIL tasks SET
        status = 'in_progress', attempts = attempts + 1, owner = ?1, started_at = ?6, updated_at = ?2,
        lease_until = ?3, token = MAX(token, ?4) + 1
      WHERE seq IN (SELECT value FROM json_each(?5)) AND status = 'pending'`),

    leased: first<[seq: number, token: number]>(
      "SELECT 1 FROM tasks WHERE seq = ? AND ? = token AND status = 'in_progress'"
    )
  }
}

/** When the next task without a key of a queue is available, in epoch milliseconds; exact only if that is after `now`. */
export const nextAvailable = (sql: Statements, queue: number | null, now: number): number => {
  let earliest = Infinity
  for (const part of sql.parts) {
    let upTo = Number.MAX_SAFE_INTEGER
    while (earliest > now) {
      const level = part.priority(queue, upTo)
      if (level === undefined) break
      earliest = Math.min(earliest, Number(level.available_at))
      upTo = Number(level.priority) - 1
    }
  }
  return earliest
}

export const isClaimable = (sql: Statements, queue: number | null, now: number, maxPerKey: number): boolean =>
  nextAvailable(sql, queue, now) <= now || sql.dueKey(queue, now, maxPerKey) !== undefined

/** The claimable rows of a queue in the order of claiming: one priority after another, until there are enough. */
const claimable = (sql: Statements, queue: number, limit: number, now: number): ReadonlyArray<Rows.Row> => {
  const rows: Array<Rows.Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  while (rows.length < limit) {
    const levels = sql.parts.map((part) => part.priority(queue, upTo))
    const priority = Math.max(...levels.map((level) => Number(level?.priority ?? -Infinity)))
    if (priority === -Infinity) break
    for (const [index, part] of sql.parts.entries()) {
      const level = levels[index]
      if (level?.priority !== priority || Number(level.available_at) > now || rows.length === limit) continue
      for (const row of part.claimable(queue, priority, now, limit - rows.length)) rows.push(row)
    }
    upTo = priority - 1
  }
  return rows
}

export const claim = (writing: Writing, request: ClaimRequest, repair: () => void): ReadonlyArray<ClaimRow> => {
  const { now, sql } = writing
  const pause = Pauses.of(sql, request.queue)
  const claimable = pause === undefined ? "all" : QueuePause.claimable(pause, now)
  if (pause === undefined || claimable === "all") return claimUpTo(writing, request, request.limit, repair)
  if (claimable === "nothing") return []
  const [probe] = claimUpTo(writing, request, 1, repair)
  if (probe === undefined) return []
  sql.startProbe(later(now, request.leaseMillis), request.queue)
  return [{ ...probe, probes: pause.revision }]
}

const claimUpTo = (
  writing: Writing,
  { leaseMillis, maxPerKey, owner, queue: name, started }: ClaimRequest,
  limit: number,
  repair: () => void
): ReadonlyArray<ClaimRow> => {
  const { now, sql } = writing
  const queue = Rows.queueId(sql.queue(name))
  if (queue === null) return []
  const isKeyed = sql.keyPriority(queue, Number.MAX_SAFE_INTEGER) !== undefined
  const find = () =>
    isKeyed ? Keys.claimable(sql, { queue, limit, now, maxPerKey }) : claimable(sql, queue, limit, now)
  let rows = find()
  if (rows.length === 0 && isClaimable(sql, queue, now, maxPerKey)) {
    // An index has a task that its table does not have.
    repair()
    rows = find()
  }
  if (rows.length === 0) return []
  sql.noteLease(leaseMillis)
  const tokenFloor = Number(sql.tokenFloor()?.token_floor)
  const claims = rows.map((row) =>
    Rows.claim(row, name, now, tokenFloor, (seq) => sql.previousExecution(seq)?.execution ?? null)
  )
  const leaseUntil = later(now, leaseMillis)
  const seqs = claims.map(({ seq }) => seq)
  const lease = (part: ReadonlyArray<number>, startedAt: number | null) =>
    part.length === 0 ? 0 : sql.lease(owner, now, leaseUntil, tokenFloor, JSON.stringify(part), startedAt)
  const leased = lease(seqs.slice(0, started), now) + lease(seqs.slice(started), null)
  if (isKeyed) Keys.endTurns(sql, queue, rows)
  if (leased !== claims.length) {
    repair()
    return claims.filter(({ seq, token }) => sql.leased(seq, Number(token)) !== undefined)
  }
  count(writing, new Map([[queue, { ...noTasks, pending: -claims.length, in_progress: claims.length }]]))
  return claims
}
