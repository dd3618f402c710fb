import * as Effect from "effect/Effect"
import type { BudgetRow, Budgets, LostLeaseRow, ReserveReply, SpendingRow } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { boolean, type Database, number, numbers, text } from "./database.ts"
import * as Errors from "./errors.ts"
import { type Fence, indexed, isLeased, leaseParameters, mostTries } from "./leases.ts"
import { type Names, rowsOf } from "./names.ts"
import type { Statements } from "./statements.ts"

/** An amount that an attempt has spent or holds; 0 when the columns are those of an earlier attempt. */
export const own = (row: string, column: string) =>
  `CASE WHEN ${row}.budget_token = ${row}.token THEN coalesce(${row}.${column}, 0) ELSE 0 END`

/** The columns of `tasks` that a statement reads to end the attempts of its rows. */
export const endColumns = "t.budget_token, t.spent_cost, t.spent_tokens, t.held_cost, t.held_tokens"

/**
 * Commits the total usage of the attempts in `rows`, and frees their reservations. Writes nothing for queues without a
 * budget, so that only those with one have a row that all settlements wait for.
 */
export const commitUsed = ({ budgets }: Names, rows: string) => `
  UPDATE ${budgets} b SET
    spent_cost = b.spent_cost + d.cost, spent_tokens = b.spent_tokens + d.tokens,
    held_cost = b.held_cost - d.held_cost, held_tokens = b.held_tokens - d.held_tokens
  FROM (
    SELECT r.queue,
      sum(greatest(0, r.used_cost::bigint - ${own("r", "spent_cost")}))::bigint AS cost,
      sum(greatest(0, r.used_tokens::bigint - ${own("r", "spent_tokens")}))::bigint AS tokens,
      sum(${own("r", "held_cost")})::bigint AS held_cost, sum(${own("r", "held_tokens")})::bigint AS held_tokens
    FROM ${rows} r WHERE EXISTS (SELECT FROM ${budgets}) GROUP BY r.queue
  ) d WHERE b.queue = d.queue`

/** Commits all that the attempts in `rows` held, whose calls may have been made. */
export const commitHeld = ({ budgets }: Names, rows: string) => `
  UPDATE ${budgets} b SET
    spent_cost = b.spent_cost + d.cost, spent_tokens = b.spent_tokens + d.tokens,
    held_cost = b.held_cost - d.cost, held_tokens = b.held_tokens - d.tokens
  FROM (
    SELECT r.queue, sum(${own("r", "held_cost")})::bigint AS cost, sum(${own("r", "held_tokens")})::bigint AS tokens
    FROM ${rows} r GROUP BY r.queue
  ) d WHERE b.queue = d.queue`

const columns = (row: string) => `
  ${row}.queue, ${row}.limit_cost::float8 AS "limitNanoUsd", ${row}.limit_tokens::float8 AS "limitTokens",
  ${row}.spent_cost::float8 AS "committedNanoUsd", ${row}.spent_tokens::float8 AS "committedTokens",
  ${row}.held_cost::float8 AS "reservedNanoUsd", ${row}.held_tokens::float8 AS "reservedTokens"`

const reserveParameters = {
  ...leaseParameters,
  n: "float8",
  committed_cost: "float8",
  committed_tokens: "float8",
  kept_cost: "float8",
  kept_tokens: "float8",
  wanted_cost: "float8",
  wanted_tokens: "float8"
} as const

/** The statements of budgets. */
export const statements = ({ budgets, control, tasks }: Names) => ({
  budgets: `SELECT ${columns("b")} FROM ${budgets} b`,

  /**
   * Locks the tasks in the order in which every statement does, then the budgets, so that all amounts are the latest. What
   * a row may reserve depends on the rows before it: the sums run over them, and the first that does not fit ends it.
   */
  reserve: `
    WITH own AS MATERIALIZED (
      SELECT x.*, t.queue,
        greatest(x.committed_cost::bigint, ${own("t", "spent_cost")}) AS new_cost,
        greatest(x.committed_tokens::bigint, ${own("t", "spent_tokens")}) AS new_tokens,
        ${own("t", "spent_cost")} AS was_cost, ${own("t", "spent_tokens")} AS was_tokens,
        ${own("t", "held_cost")} AS was_held_cost, ${own("t", "held_tokens")} AS was_held_tokens
      FROM ${rowsOf(reserveParameters)} x
      JOIN ${tasks} t ON ${isLeased} ORDER BY t.seq FOR UPDATE OF t
    ),
    locked AS MATERIALIZED (
      SELECT * FROM ${budgets} WHERE queue IN (SELECT queue FROM own) ORDER BY queue FOR UPDATE
    ),
    sums AS (
      SELECT o.*, b.limit_cost, b.limit_tokens,
        b.spent_cost + b.held_cost + sum(
          o.new_cost - o.was_cost + o.kept_cost::bigint - o.was_held_cost + o.wanted_cost::bigint
        ) OVER earlier AS sum_cost,
        b.spent_tokens + b.held_tokens + sum(
          o.new_tokens - o.was_tokens + o.kept_tokens::bigint - o.was_held_tokens + o.wanted_tokens::bigint
        ) OVER earlier AS sum_tokens
      FROM own o JOIN locked b ON b.queue = o.queue
      WINDOW earlier AS (PARTITION BY o.queue ORDER BY o.n)
    ),
    judged AS MATERIALIZED (
      SELECT s.*, bool_and(
        (s.wanted_cost = 0 AND s.wanted_tokens = 0)
        OR (s.sum_cost <= coalesce(s.limit_cost, s.sum_cost) AND s.sum_tokens <= coalesce(s.limit_tokens, s.sum_tokens))
      ) OVER (PARTITION BY s.queue ORDER BY s.n) AS granted
      FROM sums s
    ),
    written AS (
      UPDATE ${tasks} t SET
        budget_token = j.token::bigint, spent_cost = j.new_cost, spent_tokens = j.new_tokens,
        held_cost = j.kept_cost::bigint + CASE WHEN j.granted THEN j.wanted_cost::bigint ELSE 0 END,
        held_tokens = j.kept_tokens::bigint + CASE WHEN j.granted THEN j.wanted_tokens::bigint ELSE 0 END
      FROM judged j WHERE t.seq = j.seq::bigint
    ),
    changed AS (
      UPDATE ${budgets} b SET
        spent_cost = b.spent_cost + d.cost, spent_tokens = b.spent_tokens + d.tokens,
        held_cost = b.held_cost + d.held_cost, held_tokens = b.held_tokens + d.held_tokens
      FROM (
        SELECT queue, sum(new_cost - was_cost)::bigint AS cost, sum(new_tokens - was_tokens)::bigint AS tokens,
          sum(
            kept_cost::bigint - was_held_cost + CASE WHEN granted THEN wanted_cost::bigint ELSE 0 END
          )::bigint AS held_cost,
          sum(
            kept_tokens::bigint - was_held_tokens + CASE WHEN granted THEN wanted_tokens::bigint ELSE 0 END
          )::bigint AS held_tokens
        FROM judged GROUP BY queue
      ) d WHERE b.queue = d.queue RETURNING b.*
    )
    SELECT o.n::float8 AS n, NOT coalesce(j.granted, true) AND (o.wanted_cost > 0 OR o.wanted_tokens > 0) AS refused,
      b.queue IS NOT NULL AS "hasBudget", ${columns("b")}
    FROM own o LEFT JOIN judged j ON j.n = o.n LEFT JOIN changed b ON b.queue = o.queue`,

  /** `$2`, `$4` and `$6` say which values are set. */
  setBudget: `
    WITH revised AS (UPDATE ${control} SET revision = revision + 1)
    INSERT INTO ${budgets} AS b (queue, limit_cost, limit_tokens, spent_cost, spent_tokens)
    VALUES ($1, $3::float8::bigint, $5::float8::bigint, $7::float8::bigint, $8::float8::bigint)
    ON CONFLICT (queue) DO UPDATE SET
      limit_cost = CASE WHEN $2::boolean THEN excluded.limit_cost ELSE b.limit_cost END,
      limit_tokens = CASE WHEN $4::boolean THEN excluded.limit_tokens ELSE b.limit_tokens END,
      spent_cost = CASE WHEN $6::boolean THEN excluded.spent_cost ELSE b.spent_cost END,
      spent_tokens = CASE WHEN $6::boolean THEN excluded.spent_tokens ELSE b.spent_tokens END
    RETURNING ${columns("b")}`
})

export const make = (db: Database, statements: Statements, { explain, locate }: Fence): Budgets => {
  const reserve = Effect.fnUntraced(function* (
    spending: ReadonlyArray<SpendingRow>
  ): Effect.fn.Return<ReserveReply, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    const refused: Array<number> = []
    const budgets = new Map<string, BudgetRow>()
    let rows = indexed(spending)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const { located, missed } = yield* locate(rows)
      const found =
        located.length === 0
          ? []
          : yield* db.run<ReservedRow>(statements.reserve, [
              numbers(located.map(({ seq }) => seq)),
              numbers(located.map(({ row }) => row.token)),
              numbers(located.map(({ call }) => call)),
              numbers(located.map(({ index }) => index)),
              ...(["committed", "held", "wanted"] as const).flatMap((amount) => [
                numbers(located.map(({ row }) => row[amount].nanoUsd)),
                numbers(located.map(({ row }) => row[amount].tokens))
              ])
            ])
      for (const { hasBudget, n, refused: isRefused, ...budget } of found) {
        if (isRefused) refused.push(n)
        if (hasBudget) budgets.set(budget.queue, budget)
      }
      if (found.length === rows.length) break
      const written = new Set(found.map(({ n }) => n))
      const notWritten = located.flatMap(({ call, index, row, seq, usage }) =>
        written.has(index) ? [] : { index, row, location: { seq, call, usage } }
      )
      const explained = yield* explain([...missed, ...notWritten])
      lost.push(...explained.filter(({ isCurrent }) => !isCurrent))
      rows = explained.filter(({ isCurrent }) => isCurrent)
    }
    return { lost, refused, budgets: Array.from(budgets.values()) }
  })

  return {
    reserve,
    list: db.run<BudgetRow>(statements.budgets),
    set: (queue, { committed, limitNanoUsd, limitTokens }) =>
      db.one<BudgetRow>(statements.setBudget, [
        text(queue),
        boolean(limitNanoUsd !== undefined),
        number(limitNanoUsd ?? null),
        boolean(limitTokens !== undefined),
        number(limitTokens ?? null),
        boolean(committed !== undefined),
        number(committed?.nanoUsd ?? 0),
        number(committed?.tokens ?? 0)
      ])
  }
}

/** A row of `reserve`, with the budget of its queue. */
interface ReservedRow extends BudgetRow {
  readonly n: number
  readonly refused: boolean
  readonly hasBudget: boolean
  readonly queue: string
}
