import { Buffer } from "node:buffer"
import * as Usage from "./usage.ts"

/** Identifiers and texts in statements, and what the statements of a store share. All of it is constant text. */

/** The longest name that PostgreSQL does not cut, in bytes of UTF-8. */
const longestName = 63

export const isName = (name: string): boolean =>
  name !== "" && name.isWellFormed() && !name.includes("\0") && Buffer.byteLength(name) <= longestName

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** The channel of a schema's stores. All schemas of a database share one name space of channels. */
export const channel = (schema: string): string => {
  const name = `baton:${schema}`
  return isName(name) ? name : schema
}

/** The low bits of a `seq` are the task's place in the statement that added it. A statement adds fewer tasks than this. */
const places = 1_024

const statuses = ["pending", "in_progress", "in_review", "completed", "failed", "cancelled"] as const

/** What the tasks of a queue are counted by: the columns of `count_changes` between the queue and the usage, in their order. */
export const counted = [...statuses, "waiting"] as const

/** The tables of one store. */
export interface Names extends ReturnType<typeof make> {}

export const make = (schemaName: string) => {
  const schema = quote(schemaName)
  return {
    tasks: `${schema}.tasks`,
    inputs: `${schema}.task_inputs`,
    attempts: `${schema}.attempts`,
    dependencies: `${schema}.dependencies`,
    control: `${schema}.control`,
    keyTurns: `${schema}.key_turns`,
    countChanges: `${schema}.count_changes`,
    budgets: `${schema}.budgets`,
    pauses: `${schema}.pauses`,
    texts: `${schema}.texts`,
    progress: `${schema}.progress`,
    batches: `${schema}.batches`,
    batchRequests: `${schema}.batch_requests`,

    /** Where a write records how it changed the counts. */
    changes: `${schema}.count_changes (queue, ${counted.join(", ")}, usage_change)`,

    /** The `seq` of the task at place `n` of a statement. The statement takes one number from the sequence. */
    seqAt: (n: string) => `((SELECT nextval(${literal(`${schema}.task_seq`)})) * ${places} + ${n})`,
    /** The turn of a key that is new in its line: behind all others. */
    nextTurn: `nextval(${literal(`${schema}.task_seq`)}) * ${places}`,
    placeOf: (seq: string) => `(${seq} % ${places})`
  }
}

/** The columns of a task. Numbers are read as float8, which holds every integer of ours and needs no BigInt. */
const columns = `
  t.seq::float8 AS seq, i.id, t.queue, i.description, i.payload, i.overrides, t.attempts::float8 AS attempts, i.metadata,
  t.priority::float8 AS priority, t.available_at AS "availableAt", i.depends_on AS "dependsOn",
  t.concurrency_key AS "concurrencyKey", t.feedback,
  t.requeues::float8 AS requeues, t.usage, i.created_at AS "createdAt", t.updated_at AS "updatedAt"`

/** The columns of a list. An execution that is not read is not fetched from where PostgreSQL keeps large values. */
export const listedColumns = (results: string) => `${columns}, t.status, t.verified,
  CASE WHEN t.status = 'in_progress' THEN t.started_at END AS "startedAt",
  CASE WHEN ${results} AND t.status = 'completed' THEN t.execution END AS execution`

export const taskColumns = listedColumns("true")

export const claimColumns = `${columns}, t.token::float8 AS token, t.checkpoint`

/** What a claim keeps of its rows for `claimColumns`. Each column is copied twice for each row. */
export const claimedColumns = `
  t.seq, t.queue, t.attempts, t.priority, t.available_at, t.concurrency_key, t.feedback, t.requeues, t.usage, t.updated_at,
  t.token, t.checkpoint`

/** The columns of `tasks` from which `entered` finds the keys of tasks that a statement makes claimable. */
export const lineColumns = "t.priority, t.concurrency_key, t.available_at"

/**
 * Puts the keys of the claimable tasks in `rows` in their lines, or locks them where they are: part of every statement that
 * can make a task claimable. The lock keeps a claim from taking a key out of its line because it does not see the task yet: a
 * claim passes over keys that are locked, and this waits for a claim. Not a trigger: PostgreSQL fetches the former version of
 * each updated row for it, which took a quarter of the time of claims and settlements. `rows` has the columns `queue`,
 * `status`, `blockers` and those of `lineColumns`.
 */
export const entered = ({ keyTurns, nextTurn }: Names, rows: string) => `
  entered AS (
    INSERT INTO ${keyTurns} AS k (queue, priority, concurrency_key, turn, available_at)
    SELECT e.queue, e.priority, e.concurrency_key, ${nextTurn}, e.available_at
    FROM (
      SELECT queue, priority, concurrency_key, min(available_at) AS available_at FROM ${rows}
      WHERE concurrency_key IS NOT NULL AND status = 'pending' AND blockers = 0
      GROUP BY queue, priority, concurrency_key ORDER BY queue, concurrency_key, priority
    ) e
    ON CONFLICT (queue, concurrency_key, priority)
    DO UPDATE SET available_at = excluded.available_at WHERE excluded.available_at < k.available_at
  )`

export const giveUpLease = "lease = NULL, lease_until = NULL"

/** A saved output becomes the checkpoint of the next attempt. */
export const keepOutput = "checkpoint = coalesce(t.execution, t.checkpoint), execution = NULL, attempt_usage = NULL"

/**
 * The elements of the array parameters of a statement as rows, with a name and a type for each parameter. The first array has
 * a value for each row. An array of one value has it for all rows, and a shorter array is continued with nulls. In the list of a
 * SELECT, because `FROM unnest($1, $2)` first copies each array into a temporary table.
 */
export const rowsOf = (parameters: Readonly<Record<string, "boolean" | "float8" | "text">>) =>
  `(SELECT ${Object.entries(parameters)
    .map(([name, type], index) => {
      const array = `$${index + 1}::${type}[]`
      const elements =
        index === 0
          ? array
          : `CASE WHEN cardinality(${array}) = 1 THEN array_fill((${array})[1], ARRAY[cardinality($1)]) ELSE ${array} END`
      return `unnest(${elements}) AS ${name}`
    })
    .join(", ")})`

/** A number of milliseconds from now, and no later than a date can name. */
export const later = (millis: string) => `least(now() + ${millis} * interval '1 ms', timestamptz '275000-01-01 00:00Z')`

const isWaiting = (status: string) => `${status} = 'pending' AND blockers > 0`

/**
 * How a statement changed the counts of each queue. `rows` has the columns `queue`, `was` and `status`, the latter two null
 * where there is no task, and `blockers`. `freed` holds for the rows of waiting tasks that the statement freed, and `usage` is the sum
 * of what the rows change of the usage of their queue.
 */
export const countChange = (rows: string, { freed = "false", usage = Usage.none } = {}) => {
  const change = (after: string, before: string) =>
    `count(*) FILTER (WHERE ${after}) - count(*) FILTER (WHERE ${before})`
  const changes = statuses.map((status) => change(`status = '${status}'`, `was = '${status}'`))
  return `
    SELECT queue, ${changes.join(", ")},
      ${change(isWaiting("status"), isWaiting("was"))} - count(*) FILTER (WHERE ${freed}),
      ${usage}
    FROM ${rows} GROUP BY queue`
}

/**
 * Holds for the rows of a queue, or for all if it is null. A CASE, because a plan for any queue has to expect many rows: where
 * it expects few, it reads all rows after `seq` and sorts them.
 */
export const isInQueue = (queue: string) => `CASE WHEN ${queue}::text IS NULL THEN true ELSE t.queue = ${queue} END`

export const controlColumns = "revision::float8 AS revision, paused, stops::float8 AS stops"
