import * as Effect from "effect/Effect"
import type { ClaimRequest, ClaimRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { inOrder, isClaimable, level, levels } from "./claimable.ts"
import { type Database, int, number, numbers, text } from "./database.ts"
import * as Keys from "./keys.ts"
import type { Claims } from "./leases.ts"
import { claimColumns, claimedColumns, later, type Names } from "./names.ts"
import * as Pauses from "./pauses.ts"
import type { Statements } from "./statements.ts"
import * as Usage from "./usage.ts"

/** The statements that claim tasks. */
export const statements = (names: Names) => {
  const { attempts, changes, control, inputs, keyTurns, tasks } = names
  const previousExecution = `
    SELECT a.execution FROM ${attempts} a
    WHERE a.task = t.seq AND a.outcome IN ('retried', 'failed', 'completed') ORDER BY a.token DESC LIMIT 1`
  const claims = (rows: string) => `
    SELECT ${claimColumns}, CASE WHEN t.repeated THEN (${previousExecution}) END AS "previousExecution", t.n::float8 AS n
    FROM ${rows} t JOIN ${inputs} i ON i.seq = t.seq`
  const claim = (picked: string, rows: string, begin = "WITH") => `
      ${begin} ${picked},
      claimed AS (
        UPDATE ${tasks} t SET
          status = 'in_progress', attempts = t.attempts + 1, token = p.token, lease = p.token,
          lease_until = ${later("$3")}, owner = $2, claim_call = $4, updated_at = now(),
          started_at = CASE WHEN p.n <= $6 THEN now() END
        FROM picked p WHERE t.seq = p.seq RETURNING ${claimedColumns}, p.repeated, p.n
      ),
      counted AS (
        INSERT INTO ${changes} SELECT $5, -count(*), count(*), 0, 0, 0, 0, 0, ${Usage.none} FROM claimed HAVING count(*) > 0
      )
      ${rows}`
  const newToken = `greatest(t.token, (SELECT token_floor FROM ${control} WHERE id = 1)) + 1`
  const hasKeys = `EXISTS (SELECT FROM ${keyTurns} k WHERE k.queue = $5)`
  const isHeld = "t.status = 'in_progress' AND t.owner = $1 AND t.claim_call = ANY ($2::float8[])"
  const isPaused = Pauses.isPaused(names, "$5")
  const claimPlain = (condition: string, rows: string) =>
    claim(
      `${levels(names, "$5")},
      picked AS MATERIALIZED (
        SELECT next.seq, next.repeated, next.token, row_number() OVER () AS n
        FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq, t.token > 0 AS repeated, ${newToken} AS token FROM ${tasks} t
          WHERE ${isClaimable("$5")} AND ${level} = l.level AND (t.available_at, t.seq) >= (l.available_at, l.seq)
            AND t.available_at <= now()
          ORDER BY t.available_at, t.seq LIMIT $1 FOR UPDATE SKIP LOCKED
        ) next WHERE ${condition} LIMIT $1
      )`,
      rows,
      "WITH RECURSIVE"
    )
  const claimKeyed = (condition: string) =>
    claim(
      `${Keys.found(names)},
      picked AS MATERIALIZED (
        SELECT locked.seq, locked.repeated, locked.token, f.nth AS n
        FROM found f CROSS JOIN LATERAL (
          SELECT t.seq, t.token > 0 AS repeated, ${newToken} AS token FROM ${tasks} t
          WHERE t.seq = f.seq AND t.status = 'pending' AND t.blockers = 0 FOR UPDATE SKIP LOCKED
        ) locked WHERE f.nth <= $1 AND ${condition}
      )`,
      `, ${Keys.endTurns(names)}
      SELECT c.*, s.chosen, s.idle, s.has_more AS "hasMore"
      FROM (
        SELECT (SELECT count(*) FROM found WHERE nth <= $1)::float8 AS chosen,
          (SELECT array_agg(key) FROM ended WHERE is_idle) AS idle, ${Keys.hasMore(names)} AS has_more
      ) s
      LEFT JOIN (${claims("claimed")}) c ON true`
    )
  return {
    /**
     * MATERIALIZED, because otherwise a plan may run the LIMIT more than once and lock more than was asked for. The token
     * exceeds the tokens of pruned tasks, so that an id that is added again does not repeat one.
     */
    claim: claimPlain(
      `NOT ${hasKeys} AND NOT ${isPaused}`,
      `SELECT c.*, k.has_keys AS "hasKeys", k.probe_due AS "probeDue"
      FROM (SELECT ${hasKeys} AS has_keys, ${Pauses.isProbeDue(names, "$5")} AS probe_due) k
      LEFT JOIN (${claims("claimed")}) c ON true WHERE k.has_keys OR k.probe_due OR c.seq IS NOT NULL`
    ),

    /** For the probe of a paused queue, in the transaction that has started it. */
    claimProbe: claimPlain(`NOT ${hasKeys}`, claims("claimed")),

    /**
     * For a queue that has tasks with concurrency keys, in the transaction that has locked keys. Claims the chosen tasks that have
     * not changed and that no other transaction is writing, and ends the turns of their keys.
     */
    claimKeyed: claimKeyed(`NOT ${isPaused}`),
    claimKeyedProbe: claimKeyed("true"),

    /**
     * The tasks that unanswered calls have claimed, under a new lease of this call, which is the one that is answered: a
     * later call does not return them again. Finds them before it locks them by `seq`, which would
     * otherwise be the order in which it reads all tasks.
     */
    reclaim: `
      WITH held AS MATERIALIZED (SELECT t.seq FROM ${tasks} t WHERE t.queue = $5 AND ${isHeld}),
      reclaimed AS (
        UPDATE ${tasks} t SET
          lease_until = ${later("$3")}, claim_call = $6, started_at = CASE WHEN p.n <= $7 THEN now() END
        FROM (
          SELECT l.seq, row_number() OVER (ORDER BY l.priority DESC, l.available_at, l.seq) AS n
          FROM (
            SELECT t.seq, t.priority, t.available_at FROM ${tasks} t
            WHERE t.seq IN (SELECT seq FROM held) AND ${isHeld} ORDER BY t.seq LIMIT $4 FOR UPDATE
          ) l
        ) p WHERE t.seq = p.seq RETURNING ${claimedColumns}, true AS repeated, p.n
      )
      ${claims("reclaimed")}`
  }
}

/** Claims tasks, and remembers the claims. */
export const make = (db: Database, statements: Statements, claims: Claims): Pick<TaskStoreDriver, "claim"> => {
  const claimed = (rows: ReadonlyArray<ClaimedRow>, call: number): ReadonlyArray<ClaimRow> => {
    for (const { id, seq, token, usage } of rows) claims.remember(id, { seq, token, call, usage })
    return rows
  }

  /** Queues that had tasks with concurrency keys when this store last claimed from them. */
  const keyedQueues = new Set<string>()

  /** Starts the probe of a paused queue and claims its task, or changes nothing. */
  const claimProbe = (request: ClaimRequest) => {
    const { call, leaseMillis, owner, queue, started } = request
    return db.transaction(
      Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<ClaimedRow>, TaskStoreError> {
        const [pause] = yield* db.run<{ readonly revision: number }>(statements.startProbe, [
          text(queue),
          number(leaseMillis)
        ])
        if (pause === undefined) return []
        const plain = [int(1), text(owner), number(leaseMillis), number(call), text(queue), int(started)]
        const rows = keyedQueues.has(queue)
          ? (yield* Keys.claim<ClaimedRow>(db, statements, { ...request, limit: 1 }, { isProbe: true })).rows
          : yield* db.run<ClaimedRow>(statements.claimProbe, plain)
        if (rows.length === 0) yield* db.run(statements.noProbe, [text(queue)])
        for (const row of rows) Object.assign(row, { probes: pause.revision })
        return rows
      })
    )
  }

  const claimPlain = (request: ClaimRequest) => {
    const { call, leaseMillis, limit, owner, queue, started } = request
    const parameters = [int(limit), text(owner), number(leaseMillis), number(call), text(queue), int(started)]
    return Effect.flatMap(
      db.run<ClaimedRow & { readonly hasKeys: boolean; readonly probeDue: boolean }>(statements.claim, parameters),
      (rows): Effect.Effect<ReadonlyArray<ClaimedRow>, TaskStoreError> => {
        const [first] = rows
        if (first === undefined || (!first.hasKeys && !first.probeDue)) return Effect.succeed(inOrder(rows))
        if (first.hasKeys) keyedQueues.add(queue)
        return first.probeDue ? claimProbe(request) : claimFromKeys(request)
      }
    )
  }

  const claimFromKeys = (request: ClaimRequest) =>
    Effect.flatMap(
      db.transaction(Keys.claim<ClaimedRow>(db, statements, request, { isProbe: false })),
      ({ hasKeys, isProbeDue, rows }) => {
        if (!hasKeys) keyedQueues.delete(request.queue)
        return isProbeDue ? claimProbe(request) : Effect.succeed(rows)
      }
    )

  const claim = (request: ClaimRequest) => {
    const { call, leaseMillis, limit, owner, queue, started, unanswered } = request
    const claimNew = keyedQueues.has(queue) ? claimFromKeys(request) : claimPlain(request)
    const remember = (rows: ReadonlyArray<ClaimedRow>) => claimed(rows, call)
    if (unanswered.length === 0) return Effect.map(claimNew, remember)
    const reclaim = [
      text(owner),
      numbers(unanswered),
      number(leaseMillis),
      int(limit),
      text(queue),
      number(call),
      int(started)
    ]
    return Effect.map(
      Effect.flatMap(db.run<ClaimedRow>(statements.reclaim, reclaim), (rows) =>
        rows.length > 0 ? Effect.succeed(inOrder(rows)) : claimNew
      ),
      remember
    )
  }

  return { claim }
}

/** A claim as the statements return it. */
interface ClaimedRow extends ClaimRow {
  readonly id: string
  readonly seq: number
  readonly token: number
  readonly usage: string | null
  /** Its place in the order of claiming. */
  readonly n: number
}
