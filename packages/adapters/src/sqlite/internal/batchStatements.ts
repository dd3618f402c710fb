import type { SQLInputValue } from "node:sqlite"
import type * as Rows from "./rows.ts"

/** How the statements of a store are prepared. */
interface Preparing {
  readonly all: <P extends ReadonlyArray<SQLInputValue>>(sql: string) => (...parameters: P) => ReadonlyArray<Rows.Row>
  readonly first: <P extends ReadonlyArray<SQLInputValue>>(sql: string) => (...parameters: P) => Rows.Row | undefined
  readonly run: <P extends ReadonlyArray<SQLInputValue>>(sql: string) => (...parameters: P) => void
  readonly change: <P extends ReadonlyArray<SQLInputValue>>(sql: string) => (...parameters: P) => boolean
}

/** The statements of the journal of batches. */
export const statements = ({ all, change, first, run }: Preparing) => ({
  batches: all<[]>(
    "SELECT run, queue, id, requests, created_at AS createdAt FROM batches WHERE ended = 0 ORDER BY created_at"
  ),
  batchQueue: first<[run: string]>("SELECT queue FROM batches WHERE run = ?"),
  addBatch: run<[run: string, queue: string, requests: number, createdAt: number]>(`
    INSERT INTO batches (run, queue, requests, created_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (run) DO UPDATE SET requests = requests + excluded.requests`),
  setBatchId: run<[id: string, run: string]>("UPDATE batches SET id = ? WHERE run = ?"),
  endBatch: run<[run: string]>("UPDATE batches SET ended = 1 WHERE run = ?"),
  removeEmptyBatch: run<[run: string]>(
    "DELETE FROM batches WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM batch_requests WHERE run = ?1)"
  ),
  batchRequest: first<[key: string]>(`
    SELECT key, run, task, token, reserved_cost, reserved_tokens, answer, is_reply AS isReply, taken_by AS takenBy
    FROM batch_requests WHERE key = ?`),
  addBatchRequest: run<
    [key: string, run: string, task: string, token: number, reservedCost: number, reservedTokens: number]
  >(`
    INSERT OR REPLACE INTO batch_requests (key, run, task, token, reserved_cost, reserved_tokens)
    VALUES (?, ?, ?, ?, ?, ?)`),
  takeReply: run<[task: string, key: string]>(
    "UPDATE batch_requests SET taken_by = ? WHERE key = ? AND is_reply = 1 AND taken_by IS NULL"
  ),
  unansweredRequests: all<[run: string]>(`
    SELECT key, task, token, reserved_cost, reserved_tokens FROM batch_requests WHERE run = ? AND answer IS NULL`),
  answerRequest: change<[answer: string, isReply: number, takenBy: string | null, key: string, run: string]>(`
    UPDATE batch_requests SET answer = ?, is_reply = ?, taken_by = ?, reserved_cost = 0, reserved_tokens = 0
    WHERE key = ? AND run = ? AND answer IS NULL`),
  removeUnanswered: run<[run: string]>("DELETE FROM batch_requests WHERE run = ? AND answer IS NULL"),
  pruneBatchRequests: run<[before: number]>(
    "DELETE FROM batch_requests WHERE run IN (SELECT run FROM batches WHERE ended = 1 AND created_at < ?)"
  ),
  pruneBatches: run<[before: number]>("DELETE FROM batches WHERE ended = 1 AND created_at < ?")
})
