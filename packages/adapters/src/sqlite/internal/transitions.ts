import * as Schema from "effect/Schema"
import { TaskStatus } from "@baton/core/Task"
import type {
  AddReply,
  ChangeReply,
  CheckpointRow,
  ClaimRequest,
  ClaimRow,
  LeaseRow,
  LostLeaseRow,
  NewTaskRow,
  RestoreRow,
  SelectionRow,
  SettlementRow,
  SweepRequest,
  SweptRow
} from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** The last day that a date can name; a longer delay means that the task does not become available by itself. */
const endOfTime = 8.64e15

const later = (now: number, millis: number): number => Math.min(now + millis, endOfTime)

/** The number of tasks that a write moves into each status, or out of it; the store's counters change once per write. */
const tally = () => ({ pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 })

type Tally = ReturnType<typeof tally>

const count = ({ sql }: Writing, { cancelled, completed, failed, in_progress, pending, waiting }: Tally) => {
  if (pending || in_progress || completed || failed || cancelled || waiting) {
    sql.count(pending, in_progress, completed, failed, cancelled, waiting)
  }
}

// ----------------------------------------------------------------------------------------------------- adding

/**
 * Adds tasks. It inserts first and checks afterwards, so that new tasks need no look-up; the caller rolls back when nothing
 * may be added.
 */
export const add = (writing: Writing, tasks: ReadonlyArray<NewTaskRow>): AddReply => {
  const { now, sql } = writing
  const existing: Array<string> = []
  const conflicts: Array<string> = []
  const unknown: Array<{ readonly id: string; readonly dependency: string }> = []
  const linked: Array<{ readonly task: NewTaskRow; readonly seq: number }> = []
  for (const task of tasks) {
    const seq = sql.addTask(task.id, task.priority, task.availableAt ?? now, now)
    if (seq === undefined) {
      existing.push(task.id)
      if (sql.description(task.id)?.description !== task.description) conflicts.push(task.id)
    } else {
      sql.addInputs(seq, task.description, task.metadata ?? Rows.noMetadata, task.dependsOn ?? Rows.noDependencies)
      if (task.dependencies.length > 0) linked.push({ task, seq })
    }
  }
  let waiting = 0
  for (const { seq, task } of linked) {
    const blockers: Array<string> = []
    for (const dependency of task.dependencies) {
      const row = sql.state(dependency)
      if (row === undefined) unknown.push({ id: task.id, dependency })
      else if (row.status !== "completed") blockers.push(dependency)
    }
    if (block(sql, seq, blockers)) waiting++
  }
  count(writing, { ...tally(), pending: tasks.length - existing.length, waiting })
  return { existing, conflicts, unknown }
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
  const moved = tally()
  const inserted = records.map((record) => ({ record, seq: insert(writing, record) }))
  // A dependant can come before its dependency.
  for (const { record, seq } of inserted) {
    const blockers = record.waitsFor.filter((id) => sql.state(id)?.status !== "completed")
    moved[record.status]++
    if (block(sql, seq, blockers) && record.status === "pending") moved.waiting++
  }
  for (const { id, status } of records) {
    if (status === "completed") moved.waiting -= unblock(sql, id)
  }
  count(writing, moved)
  return present
}

/** Writes a task and its ledger; returns its `seq`. */
const insert = ({ now, sql }: Writing, record: RestoreRow): number => {
  // The attempt under way, or the one that completed the task, is in the task's row.
  const inRow = record.status === "in_progress" || record.status === "completed"
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
      last?.startedAt ?? null,
      // Its worker works on the other store: the next sweep ends the attempt.
      now,
      last?.execution ?? null,
      last?.verification ?? null,
      last?.usage ?? null
    ) ?? 0
  sql.addInputs(seq, record.description, record.metadata ?? Rows.noMetadata, record.dependsOn ?? Rows.noDependencies)
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

// --------------------------------------------------------------------------------------------------- claiming

/** The claimable rows in the order of claiming: one priority after another, until there are enough. */
const claimable = (sql: Statements, limit: number, now: number): ReadonlyArray<Rows.Row> => {
  const rows: Array<Rows.Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  while (rows.length < limit) {
    const level = sql.priority(upTo)
    if (level === undefined) break
    const priority = Number(level.priority)
    if (Number(level.available_at) <= now) {
      for (const row of sql.claimable(priority, now, limit - rows.length)) rows.push(row)
    }
    upTo = priority - 1
  }
  return rows
}

export const claim = (writing: Writing, { leaseMillis, limit, owner }: ClaimRequest): ReadonlyArray<ClaimRow> => {
  const { now, sql } = writing
  const rows = claimable(sql, limit, now)
  if (rows.length === 0) return []
  const tokenFloor = Number(sql.tokenFloor()?.token_floor)
  const claims = rows.map((row) =>
    Rows.claim(row, now, tokenFloor, (seq) => sql.previousExecution(seq)?.execution ?? null)
  )
  sql.lease(owner, now, later(now, leaseMillis), tokenFloor, JSON.stringify(claims.map(({ seq }) => seq)))
  count(writing, { ...tally(), pending: -claims.length, in_progress: claims.length })
  return claims
}

// ------------------------------------------------------------------------------------- writing under leases

/** Calls `write` for each lease, and returns the leases for which it changed nothing: they are no longer current. */
const underLeases = <A extends LeaseRow>(
  sql: Statements,
  leases: ReadonlyArray<A>,
  write: (lease: A) => boolean
): ReadonlyArray<LostLeaseRow> => {
  const lost: Array<LostLeaseRow> = []
  leases.forEach((lease, index) => {
    // The answer of a call in this process cannot be lost, so no outcome is looked up.
    if (!write(lease)) lost.push({ index, status: sql.state(lease.id)?.status ?? null, outcome: null })
  })
  return lost
}

export const extend = ({ now, sql }: Writing, leases: ReadonlyArray<LeaseRow>, leaseMillis: number) => {
  const leaseUntil = later(now, leaseMillis)
  return underLeases(sql, leases, ({ id, token }) => sql.extend(leaseUntil, id, token))
}

export const checkpoint = ({ now, sql }: Writing, checkpoints: ReadonlyArray<CheckpointRow>) =>
  underLeases(sql, checkpoints, ({ execution, executionUsage, id, token, usage }) =>
    sql.checkpoint(execution, executionUsage, usage, now, id, token)
  )

export const settle = (writing: Writing, settlements: ReadonlyArray<SettlementRow>): ReadonlyArray<LostLeaseRow> => {
  const { sql } = writing
  const moved = tally()
  const completed: Array<string> = []
  const lost = underLeases(sql, settlements, (settlement) => {
    if (!settleOne(writing, settlement)) return false
    moved.in_progress--
    moved[settlement.status]++
    if (settlement.status === "completed") completed.push(settlement.id)
    return true
  })
  // Checked once per batch, because most lists have no dependencies.
  if (completed.length > 0 && sql.hasDependencies() !== undefined) {
    for (const id of completed) moved.waiting -= unblock(sql, id)
  }
  count(writing, moved)
  return lost
}

/** Returns whether the lease was current. */
const settleOne = ({ now, sql }: Writing, settlement: SettlementRow): boolean => {
  const { attemptsReturned, attemptUsage, availableInMillis, error, execution, id, outcome } = settlement
  const { status, token, usage, verification } = settlement
  const availableAt = availableInMillis === null ? null : later(now, availableInMillis)
  if (outcome === "released") {
    if (!sql.endInterrupted(now, outcome, error, attemptUsage, id, token)) return false
    sql.interrupt(status, attemptsReturned, availableAt, null, usage, now, id)
    return true
  }
  const staysInRow = outcome === "completed"
  if (!staysInRow && !sql.endAttempt(now, outcome, error, execution, verification, attemptUsage, id, token))
    return false
  return sql.settle(
    status,
    attemptsReturned,
    availableAt,
    settlement.verified ? 1 : 0,
    settlement.feedback,
    usage,
    settlement.checkpoint,
    staysInRow ? execution : null,
    staysInRow ? verification : null,
    staysInRow ? attemptUsage : null,
    now,
    id,
    token
  )
}

/** Frees the dependants of a task; returns how many pending ones have no other blocker. */
const unblock = (sql: Statements, id: string): number => {
  const dependants = sql.unblock(id)
  if (dependants.length > 0) sql.forgetDependency(id)
  return dependants.filter(({ blockers, status }) => blockers === 0 && status === "pending").length
}

// ------------------------------------------------------------- sweeping, requeueing, cancelling, pruning

const statusOf: (value: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)

const decodeState = (row: Rows.Row) => ({
  seq: Number(row.seq),
  id: String(row.id),
  status: statusOf(row.status),
  isBlocked: Number(row.blockers) > 0,
  attempts: Number(row.attempts),
  token: Number(row.token),
  owner: String(row.owner),
  updatedAt: Number(row.updated_at)
})

/** What a transition needs to know of a task, read in the transaction that changes it. */
interface State extends ReturnType<typeof decodeState> {}

const stateOf = (sql: Statements, id: string): ReadonlyArray<State> => {
  const row = sql.state(id)
  return row === undefined ? [] : [decodeState(row)]
}

const move = (moved: Tally, { isBlocked, status }: State, to: TaskStatus) => {
  moved[status]--
  moved[to]++
  if (!isBlocked) return
  if (status === "pending") moved.waiting--
  if (to === "pending") moved.waiting++
}

export const sweep = (
  writing: Writing,
  { failFromAttempts, limit, message }: SweepRequest
): ReadonlyArray<SweptRow> => {
  const { now, sql } = writing
  const moved = tally()
  const swept = sql.expired(now, limit).map((row): SweptRow => {
    const state = decodeState(row)
    const { attempts, id, owner, token } = state
    const status = attempts >= failFromAttempts ? "failed" : "pending"
    const error = message.beforeOwner + owner + message.afterOwner
    sql.endInterrupted(now, "lease_expired", error, null, id, token)
    if (status === "failed") sql.interrupt(status, 0, null, error, null, now, id)
    else sql.interrupt(status, 0, now, null, null, now, id)
    move(moved, state, status)
    return { id, token, status, owner, attempts }
  })
  count(writing, moved)
  return swept
}

/** Acts on the selected tasks whose status is in `from` and that `matches` accepts. */
const changeSelected = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  act: (state: State, moved: Tally) => void,
  matches: (state: State) => boolean = () => true
): ChangeReply => {
  const { sql } = writing
  const found =
    "ids" in selection
      ? selection.ids.flatMap((id) => stateOf(sql, id))
      : sql.statesOf[selection.status](selection.after, selection.limit).map(decodeState)
  const chosen = found.filter((state) => from.includes(state.status) && matches(state))
  const moved = tally()
  for (const state of chosen) act(state, moved)
  count(writing, moved)
  return {
    ids: chosen.map(({ id }) => id),
    interrupted: chosen.filter(({ status }) => status === "in_progress").length,
    last: "ids" in selection || found.length < selection.limit ? null : (found.at(-1)?.seq ?? null)
  }
}

export const requeue = (writing: Writing, selection: SelectionRow, from: ReadonlyArray<TaskStatus>): ChangeReply =>
  changeSelected(writing, selection, from, (state, moved) => {
    writing.sql.requeue(writing.now, state.seq)
    move(moved, state, "pending")
  })

export const cancel = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  reason: string
): ChangeReply => {
  const { now, sql } = writing
  const reply = changeSelected(writing, selection, from, (state, moved) => {
    // Writes nothing for a pending task, which has no attempt under way.
    sql.endInterrupted(now, "cancelled", reason, null, state.id, state.token)
    sql.interrupt("cancelled", 0, null, null, null, now, state.id)
    move(moved, state, "cancelled")
  })
  if (reply.interrupted > 0) sql.revise(null, 0)
  return reply
}

export const prune = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  unchangedMillis: number | null
): ChangeReply => {
  const { now, sql } = writing
  const latest = unchangedMillis === null ? Infinity : now - unchangedMillis
  let greatestToken = 0
  const reply = changeSelected(
    writing,
    selection,
    from,
    ({ seq, status, token }, moved) => {
      sql.removeTask(seq)
      sql.removeInputs(seq)
      sql.removeAttempts(seq)
      sql.removeDependencies(seq)
      moved[status]--
      greatestToken = Math.max(greatestToken, token)
    },
    ({ updatedAt }) => updatedAt <= latest
  )
  if (greatestToken > 0) sql.raiseTokenFloor(greatestToken)
  return reply
}
