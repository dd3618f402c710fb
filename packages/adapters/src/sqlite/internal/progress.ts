import type { ProgressRow } from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import { isLeased } from "./fragments.ts"
import type { Preparing } from "./preparing.ts"
import type { Statements } from "./statements.ts"

/** The statements of progress reports. */
export const statements = ({ first, run }: Preparing) => ({
  saveProgress: run<[report: string, id: string, token: number]>(
    `INSERT OR REPLACE INTO progress SELECT seq, token, ? FROM tasks WHERE ${isLeased}`
  ),

  trimProgress: run<[]>(`
      DELETE FROM progress WHERE NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.seq = task AND t.token = progress.token AND t.status = 'in_progress')`),

  progress: first<[id: string]>(`
      SELECT p.report FROM tasks t JOIN progress p ON p.task = t.seq AND p.token = t.token
      WHERE t.id = ? AND t.status = 'in_progress'`)
})

export const save = ({ sql }: Writing, rows: ReadonlyArray<ProgressRow>): void => {
  sql.trimProgress()
  for (const { id, text, token } of rows) sql.saveProgress(text, id, token)
}

export const read = (sql: Statements, id: string) => sql.progress(id)?.report ?? null
