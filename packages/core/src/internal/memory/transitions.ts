import type { AttemptOutcome } from "../../Attempt.ts"
import * as Budget from "../../Budget.ts"
import * as QueuePause from "../../QueuePause.ts"
import type {
  AmendmentRow,
  CheckpointRow,
  ClaimRequest,
  ClaimRow,
  DecisionRow,
  NewTaskRow,
  RestoreRow,
  RevisionRow,
  SettlementRow,
  SweepRequest
} from "../../TaskStoreDriver.ts"
import { isLeased, type LeasedRow, noAttempts, type Row, type TaskColumns } from "./row.ts"
import * as Budgets from "./budgets.ts"
import * as Pauses from "./pauses.ts"
import * as Table from "./table.ts"

/** The last day that a date can name; a longer delay means that the task does not become available by itself. */
const endOfTime = 8.64e15

const later = (now: number, millis: number) => Math.min(now + millis, endOfTime)

/** The result of an attempt in the ledger. */
interface Trace {
  readonly execution: string | null
  readonly verification: string | null
  readonly usage: string | null
}

/** An attempt that ends without a settlement leaves its checkpoint. */
const checkpointed = ({ lease }: LeasedRow, usage: string | null = null): Trace => ({
  execution: lease.execution,
  verification: null,
  usage: usage ?? lease.executionUsage
})

/** Writes the ledger's row of the attempt that ends. Called before the task changes. */
const endAttempt = (row: LeasedRow, now: number, outcome: AttemptOutcome, error: string | null, trace: Trace) => {
  const ended = {
    number: row.task.attempts,
    token: row.lease.token,
    owner: row.lease.owner,
    startedAt: row.startedAt ?? now,
    endedAt: now,
    outcome,
    error,
    execution: trace.execution,
    verification: trace.verification,
    usage: trace.usage
  }
  row.ledger = row.ledger.length === 0 ? [ended] : [...row.ledger, ended]
}

export const add = (table: Table.Table, added: NewTaskRow, now: number) => {
  const availableAt = added.availableAt ?? now
  const seq = table.nextSeq++
  const row: Row = {
    seq,
    task: {
      seq,
      id: added.id,
      queue: added.queue,
      description: added.description,
      payload: added.payload,
      overrides: added.overrides,
      maxAttempts: added.maxAttempts,
      status: "pending",
      attempts: 0,
      metadata: added.metadata,
      priority: added.priority,
      availableAt,
      dependsOn: added.dependsOn,
      concurrencyKey: added.concurrencyKey,
      feedback: null,
      verified: false,
      requeues: 0,
      usage: null,
      createdAt: now,
      updatedAt: now,
      startedAt: null,
      execution: null,
      token: table.tokenFloor,
      checkpoint: null,
      previousExecution: null
    },
    due: availableAt,
    lease: null,
    startedAt: null,
    waitsFor: Table.incomplete(table, added.dependencies),
    ledger: noAttempts,
    place: null,
    slot: 0
  }
  Table.insert(table, row, now)
}

/** The outcomes of attempts whose output the next attempt gets. */
const hasOutput: ReadonlySet<AttemptOutcome> = new Set(["retried", "failed", "completed"])

/** Adds a task as it was in another store. */
export const restore = (table: Table.Table, record: RestoreRow, now: number) => {
  const { attemptRows, waitsFor, ...columns } = record
  const running = record.status === "in_progress" ? attemptRows.at(-1) : undefined
  const last = attemptRows.findLast(({ outcome }) => hasOutput.has(outcome))
  const seq = table.nextSeq++
  const row: Row = {
    seq,
    task: {
      ...columns,
      seq,
      startedAt: null,
      execution: record.status === "completed" ? (attemptRows.at(-1)?.execution ?? null) : null,
      previousExecution: record.status === "completed" ? null : (last?.execution ?? null)
    },
    due: running === undefined ? record.availableAt : now,
    lease:
      running === undefined
        ? null
        : {
            owner: running.owner,
            token: running.token,
            execution: running.execution,
            executionUsage: running.usage,
            committed: Budget.zero,
            reserved: Budget.zero
          },
    startedAt: running?.outcome === "running" ? running.startedAt : null,
    waitsFor: Table.incomplete(table, waitsFor),
    ledger: running === undefined ? attemptRows : attemptRows.slice(0, -1),
    place: null,
    slot: 0
  }
  Table.insert(table, row, now)
  if (record.status === "completed") Table.unblockDependants(table, record.id, now)
}

export const claim = (table: Table.Table, request: ClaimRequest, now: number): ReadonlyArray<ClaimRow> => {
  const pause = table.pauses.get(request.queue)
  const claimable = pause === undefined ? "all" : QueuePause.claimable(pause, now)
  if (pause === undefined || claimable === "all") return claimUpTo(table, request, request.limit, now)
  if (claimable === "nothing") return []
  const [probe] = claimUpTo(table, request, 1, now)
  if (probe === undefined) return []
  Pauses.startProbe(table, pause, now + request.leaseMillis)
  return [{ ...probe, probes: pause.revision }]
}

const claimUpTo = (
  table: Table.Table,
  { leaseMillis, maxPerKey, owner, queue, started }: ClaimRequest,
  limit: number,
  now: number
): ReadonlyArray<TaskColumns> => {
  const claimed: Array<TaskColumns> = []
  const lines = Table.linesOf(table, queue)
  Table.promote(lines, now)
  while (claimed.length < limit) {
    const row = lines.ready.peek(maxPerKey)
    if (row === undefined) break
    lines.ready.endTurn(row)
    table.observer.changing(row)
    const token = row.task.token + 1
    row.startedAt = claimed.length < started ? now : null
    row.lease = {
      owner,
      token,
      execution: null,
      executionUsage: null,
      committed: Budget.zero,
      reserved: Budget.zero
    }
    const task: TaskColumns = {
      ...row.task,
      status: "in_progress",
      attempts: row.task.attempts + 1,
      updatedAt: now,
      token
    }
    Table.change(table, row, task, now + leaseMillis, now)
    claimed.push(task)
  }
  return claimed
}

export const start = (table: Table.Table, row: LeasedRow, now: number) => {
  if (row.startedAt !== null) return
  table.observer.changing(row)
  row.startedAt = now
}

export const checkpoint = (table: Table.Table, row: LeasedRow, saved: CheckpointRow, now: number) => {
  const { execution, executionUsage, usage } = saved
  table.observer.changing(row)
  row.lease = { ...row.lease, execution, executionUsage }
  Table.replace(table, row, { ...row.task, usage, updatedAt: now })
}

/** Ends the lease, and gives the row its next task. */
const leave = (table: Table.Table, row: Row, task: TaskColumns, now: number) => {
  row.lease = null
  Table.change(table, row, task, task.availableAt, now)
}

export const settle = (table: Table.Table, row: LeasedRow, settlement: SettlementRow, now: number) => {
  const { availableInMillis, error, execution, outcome, status, verification } = settlement
  const { lease, task } = row
  table.observer.changing(row)
  const isReleased = outcome === "released"
  const isCompleted = outcome === "completed"
  const attempts = Math.max(0, task.attempts - settlement.attemptsReturned)
  const availableAt = availableInMillis === null ? task.availableAt : later(now, availableInMillis)
  const trace = isReleased
    ? checkpointed(row, settlement.attemptUsage)
    : { execution, verification, usage: settlement.attemptUsage }
  endAttempt(row, now, outcome, error, trace)
  Budgets.settle(table, row, settlement.spent)
  // One spread: a task has 23 fields, and this runs once per task.
  const settled: TaskColumns = {
    ...task,
    status,
    attempts,
    availableAt,
    updatedAt: now,
    execution: isCompleted ? execution : null,
    verified: settlement.verified,
    usage: isReleased ? (settlement.usage ?? task.usage) : settlement.usage,
    feedback: isReleased ? task.feedback : settlement.feedback,
    checkpoint: isReleased ? (lease.execution ?? task.checkpoint) : settlement.checkpoint,
    // An output in review has not been rejected yet: what the next attempt gets to see is decided with it.
    previousExecution: isReleased || status === "in_review" ? task.previousExecution : isCompleted ? null : execution
  }
  leave(table, row, settled, now)
  if (isCompleted) Table.unblockDependants(table, task.id, now)
}

/** Ends a review. Returns whether the task is in review under this token. */
export const decide = (table: Table.Table, decision: DecisionRow, now: number): boolean => {
  const row = table.byId.get(decision.id)
  const attempt = row?.ledger.at(-1)
  if (row?.task.status !== "in_review" || attempt?.token !== decision.token) return false
  const { error, execution, feedback, outcome, status, verification, verified } = decision
  const isCompleted = status === "completed"
  table.observer.changing(row)
  row.ledger = [...row.ledger.slice(0, -1), { ...attempt, endedAt: now, outcome, error, execution, verification }]
  const task: TaskColumns = {
    ...row.task,
    status,
    availableAt: status === "pending" ? now : row.task.availableAt,
    updatedAt: now,
    execution: isCompleted ? execution : null,
    verified,
    feedback,
    previousExecution: isCompleted ? null : execution
  }
  Table.change(table, row, task, task.availableAt, now)
  if (isCompleted) Table.unblockDependants(table, task.id, now)
  return true
}

/** Replaces the verification of an attempt in the ledger. Returns whether it still was the one to replace. */
export const amend = (table: Table.Table, { before, id, token, verification }: AmendmentRow): boolean => {
  const row = table.byId.get(id)
  const index = row?.ledger.findIndex((attempt) => attempt.token === token && attempt.verification === before) ?? -1
  const attempt = row?.ledger[index]
  if (row === undefined || attempt === undefined) return false
  table.observer.changing(row)
  row.ledger = row.ledger.with(index, { ...attempt, verification })
  return true
}

/** Ends the attempt without a settlement: its checkpoint is kept for the next one. */
const interrupt = (
  table: Table.Table,
  row: LeasedRow,
  now: number,
  outcome: AttemptOutcome,
  reason: string
): TaskColumns => {
  endAttempt(row, now, outcome, reason, checkpointed(row))
  Budgets.commitAll(table, row)
  return { ...row.task, checkpoint: row.lease.execution ?? row.task.checkpoint, updatedAt: now }
}

export const sweep = (table: Table.Table, request: SweepRequest, now: number) => {
  const swept: Array<
    Pick<TaskColumns, "id" | "token" | "status" | "attempts"> & { readonly owner: string; readonly started: boolean }
  > = []
  const { leases } = Table.linesOf(table, request.queue)
  while (swept.length < request.limit) {
    const row = leases.peek()
    if (row === undefined || row.due > now || !isLeased(row)) break
    const { owner, token } = row.lease
    const started = row.startedAt !== null
    const { attemptsReturned, message } = started
      ? { attemptsReturned: 0, message: request.message }
      : request.notStarted
    const feedback = message.beforeOwner + owner + message.afterOwner
    table.observer.changing(row)
    const task = interrupt(table, row, now, started ? "lease_expired" : "released", feedback)
    const failsFrom = request.failFromAttempts === 0 ? 0 : (task.maxAttempts ?? request.failFromAttempts)
    const attempts = Math.max(0, task.attempts - attemptsReturned)
    const status = started && attempts >= failsFrom ? "failed" : "pending"
    const ended = { ...task, attempts, status } as const
    leave(table, row, status === "failed" ? { ...ended, feedback } : { ...ended, availableAt: now }, now)
    swept.push({ id: task.id, token, status, owner, attempts, started })
  }
  return swept
}

export const requeue = (table: Table.Table, row: Row, now: number) => {
  table.observer.changing(row)
  const { task } = row
  const requeues = task.requeues + 1
  const pending = { ...task, status: "pending", attempts: 0, requeues, availableAt: now, updatedAt: now } as const
  Table.change(table, row, pending, now, now)
}

export const revise = (table: Table.Table, row: Row, { feedback, work }: RevisionRow, now: number) => {
  table.observer.changing(row)
  const { task } = row
  const revised: TaskColumns = {
    ...task,
    ...work,
    status: "pending",
    attempts: 0,
    requeues: task.requeues + 1,
    availableAt: task.status === "pending" ? task.availableAt : now,
    updatedAt: now,
    feedback,
    verified: false,
    checkpoint: null,
    execution: null,
    previousExecution: task.status === "completed" ? task.execution : task.previousExecution
  }
  Table.change(table, row, revised, revised.availableAt, now)
}

export const failWaiting = (table: Table.Table, row: Row, feedback: string, now: number) => {
  table.observer.changing(row)
  const { task } = row
  Table.change(table, row, { ...task, status: "failed", feedback, updatedAt: now }, task.availableAt, now)
}

export const cancel = (table: Table.Table, row: Row, reason: string, now: number) => {
  table.observer.changing(row)
  const task = isLeased(row) ? interrupt(table, row, now, "cancelled", reason) : { ...row.task, updatedAt: now }
  leave(table, row, { ...task, status: "cancelled" }, now)
}
