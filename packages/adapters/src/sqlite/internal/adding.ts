import type { TaskStatus } from "@baton/core/Task"
import type { AddReply, NewTaskRow, RestoreRow } from "@baton/core/TaskStoreDriver"
import * as UsageSum from "@baton/core/UsageSum"
import type { Writing } from "./connection.ts"
import type { Preparing } from "./preparing.ts"
import * as Rows from "./rows.ts"
import { unblock } from "./settling.ts"
import type { Statements } from "./statements.ts"
import { count, type Tallies, type Tally, tallyOf } from "./transitions.ts"

type Json = string

/** The statements that add tasks. */
export const statements = ({ first, insert, run }: Preparing) => ({
  addQueue: insert<[name: string]>("INSERT INTO queues (name) VALUES (?)"),

  addTask: insert<
    [id: string, priority: number, availableAt: number, now: number, queue: number, concurrencyKey: string | null]
  >(`
      INSERT INTO tasks
        (id, status, priority, available_at, blockers, attempts, requeues, verified, created_at, updated_at, token, queue,
         concurrency_key)
      VALUES (?1, 'pending', ?2, ?3, 0, 0, 0, 0, ?4, ?4, 0, ?5, ?6)
      ON CONFLICT (id) DO NOTHING`),

  addInputs: run<
    [seq: number, description: string, metadata: Json, dependsOn: Json, payload: Json | null, overrides: Json | null]
  >(`
      INSERT INTO task_inputs (seq, description, metadata, depends_on, payload, overrides)
      VALUES (?, ?, ?, ?, ?, ?)`),

  /** What a task was added with. */
  inputs: first<[id: string]>(`
      SELECT queue, description, payload, metadata, overrides, priority, concurrency_key, depends_on
      FROM tasks JOIN task_inputs USING (seq) WHERE id = ?`),

  restoreTask: insert<
    [
      id: string,
      status: TaskStatus,
      priority: number,
      availableAt: number,
      attempts: number,
      requeues: number,
      verified: number,
      feedback: string | null,
      usage: Json | null,
      checkpoint: Json | null,
      createdAt: number,
      updatedAt: number,
      token: number,
      owner: string | null,
      startedAt: number | null,
      leaseUntil: number | null,
      execution: Json | null,
      verification: Json | null,
      attemptUsage: Json | null,
      queue: number,
      concurrencyKey: string | null
    ]
  >(`
      INSERT INTO tasks
        (id, status, priority, available_at, attempts, requeues, verified, feedback, usage, checkpoint, created_at,
         updated_at, token, owner, started_at, lease_until, execution, verification, attempt_usage, queue, concurrency_key, blockers)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`),

  restoreAttempt: run<
    [
      task: number,
      number: number,
      token: number,
      owner: string,
      startedAt: number,
      endedAt: number,
      outcome: string,
      error: string | null,
      execution: Json | null,
      verification: Json | null,
      usage: Json | null
    ]
  >(`
      INSERT INTO attempts
        (task, number, token, owner, started_at, ended_at, outcome, error, execution, verification, usage)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),

  addDependency: run<[dependency: string, task: number]>("INSERT INTO dependencies (dependency, task) VALUES (?, ?)"),

  block: run<[blockers: number, seq: number]>("UPDATE tasks SET blockers = ? WHERE seq = ?")
})

/**
 * Adds tasks. It inserts first and checks afterwards, so that new tasks need no look-up; the caller rolls back when nothing
 * may be added.
 */
export const add = (writing: Writing, tasks: ReadonlyArray<NewTaskRow>): AddReply => {
  const { now, sql } = writing
  const existing: Array<string> = []
  const conflicts: Array<string> = []
  const different: Array<string> = []
  const unknown: Array<{ readonly id: string; readonly dependency: string }> = []
  const linked: Array<{ readonly task: NewTaskRow; readonly seq: number; readonly moved: Tally }> = []
  const queueOf = queues(sql)
  const tallies: Tallies = new Map()
  for (const task of tasks) {
    const queue = queueOf(task.queue)
    const availableAt = task.availableAt ?? now
    const seq = sql.addTask(task.id, task.priority, availableAt, now, queue, task.concurrencyKey)
    if (seq === undefined) {
      existing.push(task.id)
      const before = sql.inputs(task.id)
      if (!isSameWork(task, queue, before)) conflicts.push(task.id)
      else if (!hasSameDetails(task, before)) different.push(task.id)
    } else {
      addInputs(sql, seq, task)
      if (task.concurrencyKey !== null) sql.enterKeyLine(queue, task.priority, task.concurrencyKey, availableAt)
      const moved = tallyOf(tallies, queue)
      moved.pending++
      if (task.dependencies.length > 0) linked.push({ task, seq, moved })
    }
  }
  for (const { moved, seq, task } of linked) {
    const blockers: Array<string> = []
    for (const dependency of task.dependencies) {
      const row = sql.state(dependency)
      if (row === undefined) unknown.push({ id: task.id, dependency })
      else if (row.status !== "completed") blockers.push(dependency)
    }
    if (block(sql, seq, blockers)) moved.waiting++
  }
  count(writing, tallies)
  return { existing, conflicts, different, unknown }
}

/** Finds queues by name, and adds those that do not exist. */
const queues = (sql: Statements) => {
  const known = new Map<string, number>()
  return (name: string): number => {
    const found = known.get(name)
    if (found !== undefined) return found
    const queue = Rows.queueId(sql.queue(name)) ?? sql.addQueue(name) ?? 0
    known.set(name, queue)
    return queue
  }
}

const isSameWork = (task: NewTaskRow, queue: number, existing: Rows.Row | undefined): boolean =>
  existing?.queue === queue &&
  existing.payload === task.payload &&
  (task.payload !== null || existing.description === task.description)

const hasSameDetails = (task: NewTaskRow, existing: Rows.Row | undefined): boolean =>
  existing?.description === task.description &&
  existing.metadata === (task.metadata ?? Rows.noMetadata) &&
  existing.overrides === task.overrides &&
  existing.priority === task.priority &&
  existing.concurrency_key === task.concurrencyKey &&
  existing.depends_on === (task.dependsOn ?? Rows.noDependencies)

/** Writes the part of a task that no attempt changes. */
const addInputs = (
  sql: Statements,
  seq: number,
  { dependsOn, description, metadata, overrides, payload }: NewTaskRow | RestoreRow
) => {
  sql.addInputs(seq, description, metadata ?? Rows.noMetadata, dependsOn ?? Rows.noDependencies, payload, overrides)
}

/** Records what a task waits for; returns whether it waits for anything. */
const block = (sql: Statements, seq: number, blockers: ReadonlyArray<string>): boolean => {
  if (blockers.length === 0) return false
  for (const blocker of blockers) sql.addDependency(blocker, seq)
  sql.block(blockers.length, seq)
  return true
}

/** Adds tasks as they were in another store, or returns the ids that are present. */
export const restore = (writing: Writing, records: ReadonlyArray<RestoreRow>): ReadonlyArray<string> => {
  const { sql } = writing
  const present = records.flatMap(({ id }) => (sql.state(id) === undefined ? [] : id))
  if (present.length > 0) return present
  const queueOf = queues(sql)
  const tallies: Tallies = new Map()
  const inserted = records.map((record) => {
    const queue = queueOf(record.queue)
    return { record, seq: insert(writing, record, queue), moved: tallyOf(tallies, queue) }
  })
  // A dependant can come before its dependency.
  for (const { moved, record, seq } of inserted) {
    const blockers = record.waitsFor.filter((id) => sql.state(id)?.status !== "completed")
    moved[record.status]++
    if (record.usage !== null) moved.usage = UsageSum.add(moved.usage, UsageSum.ofJson(record.usage))
    if (block(sql, seq, blockers) && record.status === "pending") moved.waiting++
  }
  for (const { id, status } of records) {
    if (status === "completed") unblock(sql, id, tallies)
  }
  count(writing, tallies)
  return present
}

/** Writes a task and its ledger; returns its `seq`. */
const insert = ({ now, sql }: Writing, record: RestoreRow, queue: number): number => {
  // The attempt under way, or the one that completed the task or is in review, is in the task's row.
  const inRow = record.status === "in_progress" || record.status === "in_review" || record.status === "completed"
  const last = inRow ? record.attemptRows.at(-1) : undefined
  const seq =
    sql.restoreTask(
      record.id,
      record.status,
      record.priority,
      record.availableAt,
      record.attempts,
      record.requeues,
      record.verified ? 1 : 0,
      record.feedback,
      record.usage,
      record.checkpoint,
      record.createdAt,
      record.updatedAt,
      record.token,
      last?.owner ?? null,
      last?.outcome === "claimed" ? null : (last?.startedAt ?? null),
      // Its worker works on the other store: the next sweep ends the attempt.
      now,
      last?.execution ?? null,
      last?.verification ?? null,
      last?.usage ?? null,
      queue,
      record.concurrencyKey
    ) ?? 0
  addInputs(sql, seq, record)
  if (record.concurrencyKey !== null && record.status === "pending") {
    sql.enterKeyLine(queue, record.priority, record.concurrencyKey, record.availableAt)
  }
  for (const attempt of inRow ? record.attemptRows.slice(0, -1) : record.attemptRows) {
    sql.restoreAttempt(
      seq,
      attempt.number,
      attempt.token,
      attempt.owner,
      attempt.startedAt,
      attempt.endedAt ?? attempt.startedAt,
      attempt.outcome,
      attempt.error,
      attempt.execution,
      attempt.verification,
      attempt.usage
    )
  }
  return seq
}
