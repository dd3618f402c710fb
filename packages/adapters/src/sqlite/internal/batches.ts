import type {
  BatchAnswerRow,
  BatchEntryRow,
  BatchRequestRow,
  BatchRow,
  BeginReply,
  NewBatch,
  TakenRow
} from "@baton/core/BatchJournal"
import * as Budget from "@baton/core/Budget"
import * as Budgets from "./budgets.ts"
import type { Writing } from "./connection.ts"
import type * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import type { Preparing } from "./preparing.ts"

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

const reservedOf = (row: Rows.Row): Budget.Amount => Budgets.amount(row.reserved_cost, row.reserved_tokens)

const negative = (amount: Budget.Amount): Budget.Amount => Budget.subtract(Budget.zero, amount)

/** The number of the task that is under this lease. */
const leasedTask = (sql: Statements, { id, token }: { readonly id: string; readonly token: number }) => {
  const state = sql.state(id)
  return state?.status === "in_progress" && Number(state.token) === token ? Number(state.seq) : undefined
}

export const begin = (
  { now, sql }: Writing,
  { queue, run }: NewBatch,
  requests: ReadonlyArray<BatchRequestRow>
): BeginReply => {
  const budgets = Budgets.open(sql)
  const existing: Array<string> = []
  const lost: Array<string> = []
  let added = 0
  for (const { held, id, key, token } of requests) {
    const row = sql.batchRequest(key)
    if (row?.run === run) continue
    const seq = leasedTask(sql, { id, token })
    if (row !== undefined && (row.answer === null || Number(row.isReply) === 1)) existing.push(key)
    else if (seq === undefined) lost.push(key)
    else {
      const reserved = budgets?.reservedBy(seq) ?? Budget.zero
      const taken = {
        nanoUsd: Math.min(held.nanoUsd, reserved.nanoUsd),
        tokens: Math.min(held.tokens, reserved.tokens)
      }
      if (!Budget.isZero(taken)) budgets?.setReserved(seq, Budget.subtract(reserved, taken))
      sql.addBatchRequest(key, run, id, token, taken.nanoUsd, taken.tokens)
      added++
    }
  }
  if (added > 0) sql.addBatch(run, queue, added, now)
  return { existing, lost }
}

export const take = (sql: Statements, requests: ReadonlyArray<TakenRow>): ReadonlyArray<BatchEntryRow> => {
  for (const { key, task } of requests) sql.takeReply(task, key)
  return requests.flatMap(({ key }) => entry(sql, key) ?? [])
}

export const entry = (sql: Statements, key: string): BatchEntryRow | undefined => {
  const row = sql.batchRequest(key)
  if (row === undefined) return undefined
  const { answer, isReply, run, takenBy } = row
  return { key, run, answer, isReply, takenBy }
}

export const list = (sql: Statements): ReadonlyArray<BatchRow> =>
  sql.batches().map(({ createdAt, id, queue, requests, run }) => ({ run, queue, id, requests, createdAt }))

export const unanswered = (sql: Statements, run: string): ReadonlyArray<string> =>
  sql.unansweredRequests(run).map(({ key }) => String(key))

export const record = (
  { sql }: Writing,
  run: string,
  answers: ReadonlyArray<BatchAnswerRow>
): ReadonlyArray<string> => {
  let committed = Budget.zero
  let freed = Budget.zero
  const recorded = answers.flatMap(({ answer, isReply, key, spent, takenBy }) => {
    const row = sql.batchRequest(key)
    if (row === undefined || !sql.answerRequest(answer, isReply ? 1 : 0, takenBy, key, run)) return []
    committed = Budget.add(committed, spent ?? reservedOf(row))
    freed = Budget.add(freed, reservedOf(row))
    return key
  })
  const queue = sql.batchQueue(run)
  const budgets = queue && Budgets.open(sql)
  budgets?.add(String(queue?.queue), committed, negative(freed))
  budgets?.close()
  return recorded
}

export const drop = ({ sql }: Writing, run: string): void => {
  const queue = sql.batchQueue(run)
  const budgets = Budgets.open(sql)
  for (const row of sql.unansweredRequests(run)) {
    const seq = leasedTask(sql, { id: String(row.task), token: Number(row.token) })
    if (seq === undefined) budgets?.add(String(queue?.queue), Budget.zero, negative(reservedOf(row)))
    else budgets?.setReserved(seq, Budget.add(budgets.reservedBy(seq), reservedOf(row)))
  }
  budgets?.close()
  sql.removeUnanswered(run)
  sql.removeEmptyBatch(run)
  sql.endBatch(run)
}

export const prune = ({ now, sql }: Writing, ageMillis: number): void => {
  sql.pruneBatchRequests(now - ageMillis)
  sql.pruneBatches(now - ageMillis)
}
