import type { Names } from "./names.ts"

/** The conditions and the order of tasks that can be claimed, which the indexes contain in the same words. */

/**
 * Where a task comes in the order of claiming: by its priority, and within it before the tasks that have had no attempt if it
 * has had one. Written as in the indexes.
 */
export const level = "(t.priority * 2 + (t.token > 0)::integer)"

/**
 * The levels that have a claimable task of a queue, from the highest down, with the first task of each. Going from one to the
 * next like this finds the tasks that are due even below a million that are not due yet. Only the rows that a statement needs
 * are read. The first task is where the claim begins to read a level: before it, the index can still contain all tasks that were
 * claimed since the last vacuum.
 */
export const levels = ({ tasks }: Names, queue: string) => {
  const first = (condition: string) => `
    SELECT ${level} AS level, t.available_at, t.seq FROM ${tasks} t
    WHERE ${isClaimable(queue)} ${condition} ORDER BY ${level} DESC, t.available_at, t.seq LIMIT 1`
  return `
  levels AS (
    (${first("")})
    UNION ALL
    SELECT next.* FROM levels l CROSS JOIN LATERAL (${first(`AND ${level} < l.level`)}) next
  )`
}

/** Holds for the rows of a queue that `tasks_claimable` contains, and names them in a way that only this index can serve. */
export const isClaimable = (queue: string) =>
  `t.queue = ${queue} AND CASE WHEN t.blockers = 0 AND t.concurrency_key IS NULL THEN t.status END = 'pending'`

/** The same for `tasks_keyed`, which contains the tasks with a concurrency key. */
export const isKeyed = (queue: string, key: string) => `
  t.queue = ${queue} AND t.concurrency_key = ${key}
  AND CASE WHEN t.blockers = 0 AND t.concurrency_key IS NOT NULL THEN t.status END = 'pending'`

/** How many tasks of a key are in progress. */
export const runningOf = ({ tasks }: Names, queue: string, key: string) => `(
  SELECT count(*) FROM ${tasks} b
  WHERE b.queue = ${queue} AND b.concurrency_key = ${key}
    AND CASE WHEN b.concurrency_key IS NOT NULL THEN b.status END = 'in_progress')`

/** The order of claiming, in which a statement mostly returns its rows: sorting them here costs less than on the server. */
export const inOrder = <Row extends { readonly n: number }>(rows: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  rows.toSorted((left, right) => left.n - right.n)
