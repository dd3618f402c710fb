import type { BatchEntryRow, BatchJournalDriver, BatchRow, BeginReply } from "@baton/core/BatchJournal"
import * as Effect from "effect/Effect"
import { own } from "./budgets.ts"
import { booleans, type Database, number, numbers, text, texts } from "./database.ts"
import type { Names } from "./names.ts"

/** Statements lock tasks first, then requests, then the budget. */
const statements = ({ batches, batchRequests, budgets, inputs, tasks }: Names) => ({
  /** A row without an answer, or with a reply, stays: another batch has the request. */
  begin: `
    WITH x AS MATERIALIZED (
      SELECT x.key, x.id, x.token::bigint AS token, x.cost::bigint AS cost, x.tokens::bigint AS tokens
      FROM unnest($3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[]) AS x (key, id, token, cost, tokens)
    ),
    leased AS MATERIALIZED (
      SELECT x.key, x.id, x.token, t.seq,
        least(x.cost, ${own("t", "held_cost")}) AS cost, least(x.tokens, ${own("t", "held_tokens")}) AS tokens
      FROM x JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq
      WHERE t.status = 'in_progress' AND t.token = x.token ORDER BY t.seq FOR UPDATE OF t
    ),
    inserted AS (
      INSERT INTO ${batchRequests} AS r (key, run, task, token, held_cost, held_tokens)
      SELECT key, $1, id, token, cost, tokens FROM leased ORDER BY key
      ON CONFLICT (key) DO UPDATE SET run = excluded.run, task = excluded.task, token = excluded.token,
        held_cost = excluded.held_cost, held_tokens = excluded.held_tokens, answer = NULL, taken_by = NULL
      WHERE r.answer IS NOT NULL AND NOT r.is_reply
      RETURNING r.key
    ),
    moved AS (
      UPDATE ${tasks} t SET held_cost = t.held_cost - l.cost, held_tokens = t.held_tokens - l.tokens
      FROM leased l JOIN inserted USING (key) WHERE t.seq = l.seq AND (l.cost > 0 OR l.tokens > 0)
    ),
    counted AS (
      INSERT INTO ${batches} AS b (run, queue, requests, created_at)
      SELECT $1, $2, count(*), now() FROM inserted HAVING count(*) > 0
      ON CONFLICT (run) DO UPDATE SET requests = b.requests + excluded.requests
    ),
    refused AS (
      SELECT x.key, l.key IS NULL AND (r.key IS NULL OR (r.answer IS NOT NULL AND NOT r.is_reply)) AS is_lost
      FROM x LEFT JOIN leased l USING (key) LEFT JOIN inserted n USING (key) LEFT JOIN ${batchRequests} r ON r.key = x.key
      WHERE n.key IS NULL AND r.run IS DISTINCT FROM $1
    )
    SELECT coalesce(array_agg(key) FILTER (WHERE NOT is_lost), '{}') AS existing,
      coalesce(array_agg(key) FILTER (WHERE is_lost), '{}') AS lost
    FROM refused`,

  created: `UPDATE ${batches} SET id = $2 WHERE run = $1`,

  find: `
    SELECT r.key, r.run, r.answer, r.is_reply AS "isReply", r.taken_by AS "takenBy"
    FROM unnest($1::text[]) AS x (key) JOIN ${batchRequests} r ON r.key = x.key`,

  take: `
    WITH x AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::text[]) AS x (key, task)),
    taken AS (
      UPDATE ${batchRequests} r SET taken_by = x.task FROM x
      WHERE r.key = x.key AND r.is_reply AND r.taken_by IS NULL RETURNING r.key, r.taken_by
    )
    SELECT r.key, r.run, r.answer, r.is_reply AS "isReply", coalesce(t.taken_by, r.taken_by) AS "takenBy"
    FROM x JOIN ${batchRequests} r ON r.key = x.key LEFT JOIN taken t ON t.key = x.key`,

  unanswered: `SELECT key FROM ${batchRequests} WHERE run = $1 AND answer IS NULL`,

  record: `
    WITH x AS MATERIALIZED (
      SELECT * FROM unnest($2::text[], $3::text[], $4::boolean[], $5::float8[], $6::float8[], $7::text[])
        AS x (key, answer, is_reply, cost, tokens, taken_by)
    ),
    open AS MATERIALIZED (
      SELECT x.*, r.held_cost, r.held_tokens FROM x JOIN ${batchRequests} r ON r.key = x.key
      WHERE r.run = $1 AND r.answer IS NULL ORDER BY r.key FOR UPDATE OF r
    ),
    written AS (
      UPDATE ${batchRequests} r SET
        answer = o.answer, is_reply = o.is_reply, taken_by = o.taken_by, held_cost = 0, held_tokens = 0
      FROM open o WHERE r.key = o.key RETURNING r.key
    ),
    changed AS (
      UPDATE ${budgets} b SET
        spent_cost = b.spent_cost + d.cost, spent_tokens = b.spent_tokens + d.tokens,
        held_cost = b.held_cost - d.held_cost, held_tokens = b.held_tokens - d.held_tokens
      FROM (
        SELECT sum(coalesce(cost::bigint, held_cost))::bigint AS cost,
          sum(coalesce(tokens::bigint, held_tokens))::bigint AS tokens,
          sum(held_cost)::bigint AS held_cost, sum(held_tokens)::bigint AS held_tokens
        FROM open HAVING count(*) > 0
      ) d WHERE b.queue = (SELECT queue FROM ${batches} WHERE run = $1)
    )
    SELECT key FROM written`,

  drop: `
    WITH gone AS (
      DELETE FROM ${batchRequests} WHERE run = $1 AND answer IS NULL RETURNING task, token, held_cost, held_tokens
    ),
    returned AS (
      UPDATE ${tasks} t SET held_cost = t.held_cost + g.cost, held_tokens = t.held_tokens + g.tokens
      FROM (
        SELECT i.seq, g.token, sum(g.held_cost)::bigint AS cost, sum(g.held_tokens)::bigint AS tokens
        FROM gone g JOIN ${inputs} i ON i.id = g.task GROUP BY i.seq, g.token
      ) g
      WHERE t.seq = g.seq AND t.status = 'in_progress' AND t.token = g.token AND t.budget_token = g.token
      RETURNING g.cost, g.tokens
    ),
    freed AS (
      UPDATE ${budgets} b SET
        held_cost = b.held_cost - d.cost + (SELECT coalesce(sum(cost), 0) FROM returned)::bigint,
        held_tokens = b.held_tokens - d.tokens + (SELECT coalesce(sum(tokens), 0) FROM returned)::bigint
      FROM (
        SELECT sum(held_cost)::bigint AS cost, sum(held_tokens)::bigint AS tokens FROM gone HAVING count(*) > 0
      ) d WHERE b.queue = (SELECT queue FROM ${batches} WHERE run = $1)
    ),
    ended AS (UPDATE ${batches} SET ended = true WHERE run = $1 AND ${hasAnswers(batchRequests)})
    DELETE FROM ${batches} WHERE run = $1 AND NOT ${hasAnswers(batchRequests)}`,

  end: `UPDATE ${batches} SET ended = true WHERE run = $1`,

  list: `
    SELECT run, queue, id, requests::float8 AS requests, created_at AS "createdAt" FROM ${batches} WHERE NOT ended`,

  prune: `
    WITH gone AS (
      DELETE FROM ${batches} WHERE ended AND created_at < now() - $1::float8 * interval '1 ms' RETURNING run
    )
    DELETE FROM ${batchRequests} r USING gone WHERE r.run = gone.run`
})

const hasAnswers = (requests: string) => `EXISTS (SELECT FROM ${requests} WHERE run = $1 AND answer IS NOT NULL)`

/** The journal of batches in one schema. */
export const make = (db: Database, names: Names): BatchJournalDriver => {
  const sql = statements(names)
  const keysOf = (rows: ReadonlyArray<{ readonly key: string }>) => rows.map(({ key }) => key)
  return {
    begin: ({ queue, run }, requests) =>
      db.one<BeginReply>(sql.begin, [
        text(run),
        text(queue),
        texts(keysOf(requests)),
        texts(requests.map(({ id }) => id)),
        numbers(requests.map(({ token }) => token)),
        numbers(requests.map(({ held }) => held.nanoUsd)),
        numbers(requests.map(({ held }) => held.tokens))
      ]),
    created: (run, id) => Effect.asVoid(db.run(sql.created, [text(run), text(id)])),
    find: (keys) => db.run<BatchEntryRow>(sql.find, [texts(keys)]),
    take: (requests) =>
      db.run<BatchEntryRow>(sql.take, [texts(keysOf(requests)), texts(requests.map(({ task }) => task))]),
    unanswered: (run) => Effect.map(db.run<{ readonly key: string }>(sql.unanswered, [text(run)]), keysOf),
    record: (run, answers) =>
      Effect.map(
        db.run<{ readonly key: string }>(sql.record, [
          text(run),
          texts(keysOf(answers)),
          texts(answers.map(({ answer }) => answer)),
          booleans(answers.map(({ isReply }) => isReply)),
          numbers(answers.map(({ spent }) => spent?.nanoUsd ?? null)),
          numbers(answers.map(({ spent }) => spent?.tokens ?? null)),
          texts(answers.map(({ takenBy }) => takenBy))
        ]),
        keysOf
      ),
    drop: (run) => Effect.asVoid(db.run(sql.drop, [text(run)])),
    end: (run) => Effect.asVoid(db.run(sql.end, [text(run)])),
    list: db.run<BatchRow>(sql.list),
    prune: (ageMillis) => Effect.asVoid(db.run(sql.prune, [number(ageMillis)]))
  }
}
