import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type { Attempt, LeaseToken } from "../../Attempt.ts"
import type { NewTask, Task } from "../../Task.ts"
import * as TaskState from "../../TaskState.ts"
import type { TaskRecord } from "../../TaskRecord.ts"
import type { Checkpoint, Claim, ClaimOptions, Settlement, SweepOptions, SweptTask } from "../../TaskStore.ts"
import * as Ledger from "./ledger.ts"
import { type HeldRow, type Holder, isHeld, noAttempts, type Row } from "./row.ts"
import * as Table from "./table.ts"

/** The time of one write, read once for all its tasks. */
export interface Now {
  readonly millis: number
  readonly at: DateTime.Utc
}

/** The last day that a date can name; a longer delay means "never by itself". */
const endOfTime = 8.64e15

const later = (now: Now, delay: Duration.Duration) =>
  DateTime.makeUnsafe(Math.min(now.millis + Duration.toMillis(delay), endOfTime))

const leaseToken = Brand.nominal<LeaseToken>()

const change = (table: Table.Table, row: Row, task: Task, now: Now) =>
  Table.change(table, row, task, task.availableAt.epochMilliseconds, now.millis)

/** The state that an event leads to, or nothing where the state machine knows no such transition. */
const next = (row: Row, event: TaskState.Transition, policy: TaskState.FailurePolicy) =>
  Result.getOrUndefined(TaskState.transition(row.task, event, policy))

/** For events that look at no policy. */
const anyPolicy: TaskState.FailurePolicy = { maxAttempts: Infinity, onCrash: "retry" }

export const add = (table: Table.Table, added: NewTask, now: Now) => {
  const availableAt = added.availableAt ?? now.at
  const row: Row = {
    seq: table.nextSeq++,
    task: {
      id: added.id,
      description: added.description,
      status: "pending",
      result: null,
      attempts: 0,
      metadata: added.metadata ?? {},
      priority: added.priority ?? 0,
      availableAt,
      dependsOn: added.dependsOn ?? [],
      feedback: null,
      verified: false,
      requeues: 0,
      usage: null,
      createdAt: now.at,
      updatedAt: now.at
    },
    due: availableAt.epochMilliseconds,
    claims: 0,
    holder: null,
    waitsFor: Table.incomplete(table, added.dependsOn ?? []),
    checkpoint: null,
    previousOutput: null,
    ledger: noAttempts,
    place: null,
    slot: 0
  }
  Table.insert(table, row, now.millis)
}

const holderOf = ({ execution, owner, startedAt, token }: Attempt): Holder => ({ owner, token, startedAt, execution })

/** Adds a task as it was elsewhere. */
export const restore = (table: Table.Table, record: TaskRecord, now: Now) => {
  const { attempts, task } = record
  const running = task.status === "in_progress" ? attempts.at(-1) : undefined
  const row: Row = {
    seq: table.nextSeq++,
    task,
    due: running === undefined ? task.availableAt.epochMilliseconds : now.millis,
    claims: record.token,
    holder: running === undefined ? null : holderOf(running),
    waitsFor: Table.incomplete(table, record.waitsFor),
    checkpoint: record.checkpoint,
    previousOutput: record.previousOutput,
    ledger: running === undefined ? attempts : attempts.slice(0, -1),
    place: null,
    slot: 0
  }
  Table.insert(table, row, now.millis)
  if (task.status === "completed") Table.unblockDependants(table, task.id, now.millis)
}

export const claim = (table: Table.Table, options: ClaimOptions, now: Now): ReadonlyArray<Claim> => {
  const leaseEnd = now.millis + Duration.toMillis(options.lease)
  const claims: Array<Claim> = []
  Table.promote(table, now.millis)
  while (claims.length < options.limit) {
    const row = table.ready.peek()
    if (row === undefined) break
    table.witness.touch(row)
    const token = leaseToken(++row.claims)
    row.holder = { owner: options.owner, token, startedAt: now.at, execution: null }
    const task: Task = { ...row.task, status: "in_progress", attempts: row.task.attempts + 1, updatedAt: now.at }
    Table.change(table, row, task, leaseEnd, now.millis)
    claims.push({ task, token, checkpoint: row.checkpoint, previousOutput: row.previousOutput })
  }
  return claims
}

export const checkpoint = (table: Table.Table, row: HeldRow, saved: Checkpoint, now: Now) => {
  table.witness.touch(row)
  row.checkpoint = saved.execution
  row.holder = { ...row.holder, execution: saved.execution }
  row.task = { ...row.task, usage: saved.usage, updatedAt: now.at }
}

const leave = (table: Table.Table, row: Row, task: Task, now: Now) => {
  row.holder = null
  change(table, row, task, now)
}

export const settle = (table: Table.Table, row: HeldRow, settlement: Settlement, now: Now) => {
  table.witness.touch(row)
  if (settlement._tag === "Release") {
    Ledger.end(row, now.at, "released", settlement.reason, Ledger.saved(row, settlement.attemptUsage))
    const attempts = Math.max(0, row.task.attempts - 1)
    const usage = settlement.usage ?? row.task.usage
    leave(table, row, { ...row.task, status: "pending", attempts, usage, availableAt: now.at, updatedAt: now.at }, now)
    return
  }
  const { execution, usage, verification } = settlement
  const outturn = { execution, verification, usage: settlement.attemptUsage }
  const written = { ...row.task, usage, updatedAt: now.at }
  if (settlement._tag === "Complete") {
    Ledger.end(row, now.at, "completed", null, outturn)
    row.checkpoint = null
    row.previousOutput = null
    const { verified } = settlement
    const result = settlement.execution.output
    leave(table, row, { ...written, status: "completed", result, verified, feedback: null }, now)
    Table.unblockDependants(table, row.task.id, now.millis)
    return
  }
  const { feedback } = settlement
  Ledger.end(row, now.at, settlement._tag === "Retry" ? "retried" : "failed", feedback, outturn)
  row.checkpoint = settlement.checkpoint
  row.previousOutput = execution?.output || null
  if (settlement._tag === "Retry") {
    leave(table, row, { ...written, status: "pending", feedback, availableAt: later(now, settlement.delay) }, now)
  } else {
    leave(table, row, { ...written, status: "failed", feedback }, now)
  }
}

export const sweep = (table: Table.Table, options: SweepOptions, now: Now): ReadonlyArray<SweptTask> => {
  const swept: Array<SweptTask> = []
  for (let row = table.leases.peek(); row !== undefined && row.due <= now.millis; row = table.leases.peek()) {
    if (!isHeld(row)) break
    const { owner, token } = row.holder
    const state = next(row, TaskState.Transition.cases.LeaseExpired.make({}), options)
    if (state === undefined) break
    table.witness.touch(row)
    const silence = `Worker ${owner} stopped answering.`
    Ledger.end(row, now.at, "lease_expired", silence)
    const failed = state.status === "failed"
    const written = { ...row.task, ...state, updatedAt: now.at }
    leave(table, row, failed ? { ...written, feedback: silence } : { ...written, availableAt: now.at }, now)
    swept.push({ taskId: row.task.id, token, status: failed ? "failed" : "pending", owner, attempts: state.attempts })
  }
  return swept
}

export const requeue = (table: Table.Table, row: Row, now: Now): boolean => {
  const state = next(row, TaskState.Transition.cases.Requeued.make({}), anyPolicy)
  if (state === undefined) return false
  table.witness.touch(row)
  const requeues = row.task.requeues + 1
  change(table, row, { ...row.task, ...state, requeues, availableAt: now.at, updatedAt: now.at }, now)
  return true
}

/** Whether the task was cancelled, and whether it was running. */
export const cancel = (table: Table.Table, row: Row, now: Now): "unchanged" | "pending" | "running" => {
  const state = next(row, TaskState.Transition.cases.Cancelled.make({}), anyPolicy)
  if (state === undefined) return "unchanged"
  table.witness.touch(row)
  const running = isHeld(row)
  if (isHeld(row)) Ledger.end(row, now.at, "cancelled", "The task was cancelled while it ran.")
  leave(table, row, { ...row.task, ...state, updatedAt: now.at }, now)
  return running ? "running" : "pending"
}
