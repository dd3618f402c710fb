import type { Writing } from "./connection.ts"
import type { Preparing } from "./preparing.ts"

/** The statements that make a damaged file consistent. */
export const statements = ({ changes, run }: Preparing) => ({
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
        FROM tasks WHERE tasks.queue = queues.queue)`)
})

const feedback = "The row of this task was damaged and cannot be read: restore a backup, or delete the task."

/**
 * Makes a file consistent whose rows and indexes contradict each other, as after a damaged byte that `PRAGMA quick_check`
 * does not notice: rebuilds the indexes from the rows, fails the tasks whose rows cannot be used, and counts again. Returns
 * the number of these tasks.
 */
export const repair = ({ now, sql }: Writing): number => {
  sql.reindex()
  const failed = sql.failDamaged(feedback, now)
  sql.addMissingInputs(feedback)
  sql.recount()
  return failed
}
