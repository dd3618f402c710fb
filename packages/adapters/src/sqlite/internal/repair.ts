import type { Writing } from "./connection.ts"

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
