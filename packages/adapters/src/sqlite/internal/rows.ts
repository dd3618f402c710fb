import type { SQLOutputValue } from "node:sqlite"
import type { AttemptRow, ClaimRow, ControlRow, CountsRow, RecordRow, WorkerRow } from "@baton/core/TaskStoreDriver"

/** A row as `node:sqlite` returns it: an object, or an array where the statement says so. */
export interface Row {
  readonly [column: string]: SQLOutputValue
}

/**
 * The columns of a task that statements select, each with its place in the row. These rows are arrays, because `node:sqlite`
 * takes as long to make objects of them as to find them. A claim reads the columns before `execution`.
 */
const column = {
  seq: 0,
  id: 1,
  description: 2,
  metadata: 3,
  depends_on: 4,
  priority: 5,
  available_at: 6,
  attempts: 7,
  requeues: 8,
  feedback: 9,
  usage: 10,
  created_at: 11,
  token: 12,
  checkpoint: 13,
  payload: 14,
  overrides: 15,
  concurrency_key: 16,
  execution: 17,
  status: 18,
  verified: 19,
  updated_at: 20,
  lease_until: 21,
  started_at: 22,
  /** Of the queue. */
  name: 23
} as const

const columns = Object.keys(column)

/** What `tasks` reads. */
export const taskColumns = columns.join(", ")

/** What a list reads: not what the next attempt verifies, and executions only if `results` is true. */
export const listedColumns = (results: string) =>
  columns
    .map((name) => (name === "execution" ? `IIF(${results}, execution, NULL)` : name === "checkpoint" ? "NULL" : name))
    .join(", ")

/** What `claim` reads. */
export const claimColumns = columns.slice(0, column.execution).join(", ")

/** The columns `metadata` and `depends_on` are never null; these texts stand for null. */
export const noMetadata = "{}"
export const noDependencies = "[]"

const metadata = (row: Row) => (row[column.metadata] === noMetadata ? null : row[column.metadata])
const dependsOn = (row: Row) => (row[column.depends_on] === noDependencies ? null : row[column.depends_on])

/** The part of a task that is in the tables `tasks`, `task_inputs` and `queues`. */
export interface StoredTask extends Omit<RecordRow, "waitsFor" | "attemptRows"> {
  readonly id: string
  readonly seq: number
}

const task = (row: Row): StoredTask => ({
  seq: Number(row[column.seq]),
  id: String(row[column.id]),
  queue: row[column.name],
  description: row[column.description],
  payload: row[column.payload],
  overrides: row[column.overrides],
  status: row[column.status],
  attempts: row[column.attempts],
  metadata: metadata(row),
  priority: row[column.priority],
  availableAt: row[column.available_at],
  dependsOn: dependsOn(row),
  concurrencyKey: row[column.concurrency_key],
  feedback: row[column.feedback],
  verified: row[column.verified],
  requeues: row[column.requeues],
  usage: row[column.usage],
  createdAt: row[column.created_at],
  updatedAt: row[column.updated_at],
  // Afterwards it is when the attempt that completed the task started.
  startedAt: row[column.status] === "in_progress" ? row[column.started_at] : null,
  execution: row[column.execution],
  token: row[column.token],
  leaseUntil: row[column.lease_until],
  checkpoint: row[column.checkpoint]
})

export const tasks = (rows: ReadonlyArray<Row>): ReadonlyArray<StoredTask> => rows.map(task)

/** The claim of a pending row, which is read before it is updated. Only tasks that had an attempt look for a previous one. */
export const claim = (
  row: Row,
  queue: string,
  now: number,
  tokenFloor: number,
  previousExecution: (seq: number) => SQLOutputValue
): ClaimRow & { readonly seq: number } => {
  const seq = Number(row[column.seq])
  const token = Number(row[column.token])
  return {
    seq,
    id: row[column.id],
    queue,
    description: row[column.description],
    payload: row[column.payload],
    overrides: row[column.overrides],
    attempts: Number(row[column.attempts]) + 1,
    metadata: metadata(row),
    priority: row[column.priority],
    availableAt: row[column.available_at],
    dependsOn: dependsOn(row),
    concurrencyKey: row[column.concurrency_key],
    feedback: row[column.feedback],
    requeues: row[column.requeues],
    usage: row[column.usage],
    createdAt: row[column.created_at],
    updatedAt: now,
    token: Math.max(token, tokenFloor) + 1,
    checkpoint: row[column.checkpoint],
    previousExecution: token === 0 ? null : previousExecution(seq)
  }
}

/** Where a row of `claimable` comes in the order of claiming, among those of its priority. */
export const isBefore = (left: Row, right: Row): boolean => {
  const isLeftStarted = Number(left[column.token]) > 0
  if (isLeftStarted !== Number(right[column.token]) > 0) return isLeftStarted
  const [leftAt, rightAt] = [Number(left[column.available_at]), Number(right[column.available_at])]
  return leftAt === rightAt ? Number(left[column.seq]) < Number(right[column.seq]) : leftAt < rightAt
}

/** The concurrency key of a row of `claimable`; null when it has none. */
export const concurrencyKey = (row: Row): string | null =>
  row[column.concurrency_key] === null ? null : String(row[column.concurrency_key])

export const priority = (row: Row): number => Number(row[column.priority])

const attempt = (row: Row): AttemptRow => ({
  number: row.number,
  token: row.token,
  owner: row.owner,
  startedAt: row.started_at,
  endedAt: row.ended_at,
  outcome: row.outcome,
  error: row.error,
  execution: row.execution,
  verification: row.verification,
  usage: row.usage
})

export const attempts = (rows: ReadonlyArray<Row>): ReadonlyArray<AttemptRow> => rows.map(attempt)

const queueCounts = (row: Row): CountsRow => ({
  queue: row.name,
  pending: row.pending,
  in_progress: row.in_progress,
  in_review: row.in_review,
  completed: row.completed,
  failed: row.failed,
  cancelled: row.cancelled,
  waiting: row.waiting,
  usages: row.usages,
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  cacheReadTokens: row.cache_read_tokens,
  cacheWriteTokens: row.cache_write_tokens,
  maxTokens: row.max_tokens,
  minNanoUsd: row.min_nano_usd,
  maxNanoUsd: row.max_nano_usd,
  unknownCosts: row.unknown_costs,
  unboundedCosts: row.unbounded_costs
})

export const counts = (rows: ReadonlyArray<Row>): ReadonlyArray<CountsRow> => rows.map(queueCounts)

const worker = (row: Row): WorkerRow => ({
  queue: row.queue,
  owner: row.owner,
  running: row.running,
  claimed: row.claimed,
  startedAt: row.started_at,
  leaseEndsInMillis: row.lease_ends_in
})

export const workers = (rows: ReadonlyArray<Row>): ReadonlyArray<WorkerRow> => rows.map(worker)

/** The identifier of a queue; null, which equals nothing in SQL, where there is no such queue. */
export const queueId = (row: Row | undefined): number | null => (row === undefined ? null : Number(row.queue))

/** The one row of the table `control`. */
export const control = (row: Row | undefined): ControlRow => ({
  revision: row?.revision,
  paused: row?.paused,
  stops: row?.stops
})
