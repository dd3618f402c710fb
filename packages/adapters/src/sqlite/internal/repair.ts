import type { Writing } from "./connection.ts"
import { usageColumns } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import { count, jsonOrNull, meter, type Tallies } from "./transitions.ts"

/** The number of tasks whose usage one statement reads. */
const summed = 10_000

/** The statements that make a damaged file consistent. */
export const statements = ({ all, changes, run }: Preparing) => ({
  reindex: run<[]>("REINDEX tasks"),

  /** Returns the number of tasks. */
  failDamaged: changes<[feedback: string, now: number]>(`
      UPDATE tasks SET status = 'failed', feedback = ?1, updated_at = ?2,
        queue = IIF(queue IN (SELECT queue FROM queues), queue, (SELECT MIN(queue) FROM queues))
      WHERE status NOT IN ('pending', 'in_progress', 'in_review', 'completed', 'failed', 'cancelled')
        OR queue NOT IN (SELECT queue FROM queues)
        OR seq NOT IN (SELECT seq FROM task_inputs)
        OR (status = 'pending' AND blockers <> (SELECT COUNT(*) FROM dependencies WHERE task = seq))`),

  addMissingInputs: run<[description: string]>(`
      INSERT INTO task_inputs (seq, description, metadata, depends_on)
      SELECT seq, ?, '{}', '[]' FROM tasks WHERE seq NOT IN (SELECT seq FROM task_inputs)`),

  recount: run<[]>(`
      UPDATE queues SET (pending, in_progress, in_review, completed, failed, cancelled, waiting) = (
        SELECT TOTAL(status = 'pending'), TOTAL(status = 'in_progress'), TOTAL(status = 'in_review'),
          TOTAL(status = 'completed'), TOTAL(status = 'failed'), TOTAL(status = 'cancelled'), TOTAL(status = 'pending' AND blockers > 0)
        FROM tasks WHERE tasks.queue = queues.queue)`),

  forgetUsage: run<[]>(`UPDATE queues SET ${usageColumns.map((name) => `${name} = 0`).join(", ")}`),

  usages: all<[after: number]>(
    `SELECT seq, queue, usage FROM tasks WHERE usage IS NOT NULL AND seq > ? ORDER BY seq LIMIT ${summed}`
  )
})

const feedback = "The row of this task was damaged and cannot be read: restore a backup, or delete the task."

/**
 * Makes a file consistent whose rows and indexes contradict each other, as after a damaged byte that `PRAGMA quick_check`
 * does not notice: rebuilds the indexes from the rows, fails the tasks whose rows cannot be used, and counts again. Returns
 * the number of these tasks.
 */
export const repair = (writing: Writing): number => {
  const { now, sql } = writing
  sql.reindex()
  const failed = sql.failDamaged(feedback, now)
  sql.addMissingInputs(feedback)
  sql.recount()
  sumUsage(writing)
  return failed
}

const sumUsage = (writing: Writing) => {
  const { sql } = writing
  sql.forgetUsage()
  const tallies: Tallies = new Map()
  for (let rows = sql.usages(0); rows.length > 0; rows = sql.usages(Number(rows.at(-1)?.seq))) {
    for (const { queue, usage } of rows) meter(tallies, Number(queue), null, jsonOrNull(usage))
  }
  count(writing, tallies)
}
