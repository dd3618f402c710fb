import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Claim, ClaimOptions } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import { later, type Names, taskColumns } from "./names.ts"
import { int, number, numbers, type Parameter, span, text } from "./parameters.ts"
import * as Rows from "./rows.ts"
import type { Seqs } from "./seqs.ts"
import * as Text from "./text.ts"

export const statements = ({ attempts, changes, inputs, levels, tasks }: Names) => {
  const previousExecution = `
    SELECT a.execution FROM ${attempts} a
    WHERE a.task = t.seq AND a.outcome IN ('retried', 'failed') ORDER BY a.token DESC LIMIT 1`

  const claims = (rows: string) => `
    SELECT ${taskColumns}, t.checkpoint, CASE WHEN t.token > 1 THEN (${previousExecution}) END AS previous_execution
    FROM ${rows} t JOIN ${inputs} i ON i.seq = t.seq
    ORDER BY t.priority DESC, t.available_at, t.seq`

  return {
    /** MATERIALIZED, because a plan may otherwise run the LIMIT more than once and lock more than was asked for. */
    claim: `
      WITH RECURSIVE ${levels},
      picked AS MATERIALIZED (
        SELECT next.seq FROM levels l CROSS JOIN LATERAL (
          SELECT t.seq FROM ${tasks} t
          WHERE t.status = 'pending' AND t.blockers = 0 AND t.priority = l.priority AND t.available_at <= now()
          ORDER BY t.available_at, t.seq LIMIT $1 FOR UPDATE SKIP LOCKED
        ) next LIMIT $1
      ),
      claimed AS (
        UPDATE ${tasks} t SET
          status = 'in_progress', attempts = t.attempts + 1, token = t.token + 1, lease = t.token + 1,
          lease_until = ${later("$3")}, owner = $2, claim_call = $4, started_at = now(), updated_at = now()
        FROM picked p WHERE t.seq = p.seq RETURNING t.*
      ),
      counted AS (
        INSERT INTO ${changes} SELECT -count(*), count(*), 0, 0, 0, 0 FROM claimed HAVING count(*) > 0
      )
      ${claims("claimed")}`,

    /** What calls claimed whose answers never arrived, under a lease that starts anew. */
    reclaim: `
      WITH reclaimed AS (
        UPDATE ${tasks} t SET lease_until = ${later("$3")}
        WHERE t.status = 'in_progress' AND t.owner = $1 AND t.claim_call = ANY ($2::float8[]) RETURNING t.*
      )
      ${claims("reclaimed")}`
  }
}

/** A call that was made and not answered: whether it claimed anything is not known. */
interface Unanswered {
  readonly owner: string
  readonly call: number
}

/** In a long outage, most calls never arrive; what the first of them may have claimed has no lease any more by then. */
const mostUnanswered = 100

/**
 * Claims for one store. When the connection breaks after a claim was written and before it was heard of, its tasks would be
 * nobody's until their leases end, and each would have lost an attempt; so the next claim asks what became of it.
 */
export const make = (db: Database, names: Names, seqs: Seqs, instance: number) => {
  const sql = statements(names)
  let calls = instance
  let unanswered: ReadonlyArray<Unanswered> = []

  const read = (rows: ReadonlyArray<Rows.Row>): ReadonlyArray<Claim> =>
    rows.map((row) => {
      const claim = Rows.claim(row)
      seqs.set(claim.task.id, Rows.number(row.seq))
      return claim
    })

  const reclaim = Effect.fnUntraced(function* (
    owner: string,
    lost: ReadonlyArray<number>,
    lease: Parameter
  ): Effect.fn.Return<ReadonlyArray<Claim>, TaskStoreError> {
    const claims = yield* db.run(sql.reclaim, [text(Text.encode(owner)), numbers(lost), lease], read)
    unanswered = unanswered.filter(({ call }) => !lost.includes(call))
    return claims
  })

  return Effect.fnUntraced(function* ({
    lease,
    limit,
    owner
  }: ClaimOptions): Effect.fn.Return<ReadonlyArray<Claim>, TaskStoreError> {
    if (limit < 1) return []
    const duration = number(span(Duration.toMillis(lease)))
    const lost = unanswered.flatMap((each) => (each.owner === owner ? each.call : []))
    if (lost.length > 0) {
      const found = yield* reclaim(owner, lost, duration)
      if (found.length > 0) return found
    }
    const call = calls++
    const parameters = [int(limit), text(Text.encode(owner)), duration, number(call)]
    return yield* Effect.tapError(db.run(sql.claim, parameters, read), () =>
      Effect.sync(() => {
        unanswered = [...unanswered, { owner, call }].slice(-mostUnanswered)
      })
    )
  })
}
