import * as Effect from "effect/Effect"
import type { DecisionRow, LostLeaseRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { booleans, type Database, number, numbers, text, texts } from "./database.ts"
import * as Errors from "./errors.ts"
import { indexed, mostTries } from "./leases.ts"
import { lineColumns, type Names } from "./names.ts"
import { freeing } from "./settling.ts"
import type { Statements } from "./statements.ts"

/** The statements of reviews and audits. */
export const statements = (names: Names) => {
  const { attempts, dependencies, inputs, tasks } = names
  return {
    /**
     * Decisions about tasks in review. Locks and checks as `settle` does: the caller repeats rows that have changed between
     * reading and locking.
     */
    decide: `
      WITH own AS MATERIALIZED (
        SELECT x.*, t.seq, t.xmin AS version, t.attempts AS number, t.owner, t.started_at, t.claim_call, t.attempt_usage
        FROM unnest($1::text[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
            $9::text[])
          AS x (id, token, outcome, status, error, feedback, verified, execution, verification)
        JOIN ${inputs} i ON i.id = x.id
        JOIN ${tasks} t ON t.seq = i.seq AND t.status = 'in_review' AND t.token = x.token::bigint
      ),
      locked AS MATERIALIZED (
        SELECT t.seq FROM ${tasks} t WHERE t.seq IN (
          SELECT seq FROM own
          UNION
          SELECT d.task FROM own JOIN ${dependencies} d ON d.dependency = own.id WHERE own.status = 'completed'
        ) ORDER BY t.seq FOR UPDATE
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = o.status, available_at = CASE WHEN o.status = 'pending' THEN now() ELSE t.available_at END,
          feedback = o.feedback, verified = o.verified,
          execution = CASE WHEN o.status = 'completed' THEN o.execution END,
          verification = CASE WHEN o.status = 'completed' THEN o.verification END,
          attempt_usage = CASE WHEN o.status = 'completed' THEN t.attempt_usage END,
          updated_at = now()
        FROM own o WHERE t.seq = o.seq AND t.xmin = o.version AND (SELECT count(*) FROM locked) > 0
        RETURNING o.*, t.queue, t.blockers, ${lineColumns}
      ),
      ended AS (
        INSERT INTO ${attempts} (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution,
          verification, usage)
        SELECT seq, token::bigint, claim_call, number, owner, coalesce(started_at, now()), now(), outcome, error, execution,
          verification, attempt_usage
        FROM done WHERE status <> 'completed'
      ),
      ${freeing(names, "in_review")}
      SELECT coalesce(array_agg(id), '{}') AS ids FROM done`,

    /** Replaces the verification of an attempt, which the row of its task or the ledger has. */
    amend: `
      WITH task AS (SELECT i.seq FROM ${inputs} i WHERE i.id = $1),
      last AS (
        UPDATE ${tasks} t SET verification = $4 FROM task
        WHERE t.seq = task.seq AND t.token = $2::float8::bigint AND t.status = 'completed' AND t.verification = $3
        RETURNING t.seq
      ),
      ended AS (
        UPDATE ${attempts} a SET verification = $4 FROM task
        WHERE a.task = task.seq AND a.token = $2::float8::bigint AND a.verification = $3
        RETURNING a.task
      )
      SELECT (SELECT count(*) FROM last) + (SELECT count(*) FROM ended) > 0 AS "isAmended"`,

    /** The statuses of tasks about which a decision changed nothing. `isCurrent`: the review is under way anyway. */
    explainReview: `
      SELECT t.status, coalesce(t.status = 'in_review' AND t.token = x.token::bigint, false) AS "isCurrent"
      FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS x (id, token, n)
      LEFT JOIN ${inputs} i ON i.id = x.id LEFT JOIN ${tasks} t ON t.seq = i.seq ORDER BY x.n`
  }
}

export const make = (
  db: Database,
  statements: Statements
): { readonly [Name in "amend" | "decide"]: NonNullable<TaskStoreDriver[Name]> } => {
  const decide = Effect.fnUntraced(function* (
    decisions: ReadonlyArray<DecisionRow>
  ): Effect.fn.Return<ReadonlyArray<LostLeaseRow>, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    let rows = indexed(decisions)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const { ids } = yield* db.one<{ readonly ids: ReadonlyArray<string> }>(statements.decide, [
        texts(rows.map(({ row }) => row.id)),
        numbers(rows.map(({ row }) => row.token)),
        texts(rows.map(({ row }) => row.outcome)),
        texts(rows.map(({ row }) => row.status)),
        texts(rows.map(({ row }) => row.error)),
        texts(rows.map(({ row }) => row.feedback)),
        booleans(rows.map(({ row }) => row.verified)),
        texts(rows.map(({ row }) => row.execution)),
        texts(rows.map(({ row }) => row.verification))
      ])
      const written = new Set(ids)
      const missed = rows.filter(({ row }) => !written.has(row.id))
      if (missed.length === 0) break
      const explained = yield* db.run<{ readonly status: string | null; readonly isCurrent: boolean }>(
        statements.explainReview,
        [texts(missed.map(({ row }) => row.id)), numbers(missed.map(({ row }) => row.token))]
      )
      rows = missed.filter((_, place) => explained[place]?.isCurrent === true)
      for (const [place, { index }] of missed.entries()) {
        const { isCurrent = false, status = null } = explained[place] ?? {}
        if (!isCurrent) lost.push({ index, status, outcome: null })
      }
    }
    return lost
  })

  return {
    decide,

    amend: ({ before, id, token, verification }) =>
      Effect.map(
        db.one<{ readonly isAmended: boolean }>(statements.amend, [
          text(id),
          number(token),
          text(before),
          text(verification)
        ]),
        ({ isAmended }) => isAmended
      )
  }
}
