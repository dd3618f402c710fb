import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type { TaskStatus } from "@baton/core/Task"
import * as TaskState from "@baton/core/TaskState"
import type {
  Checkpoint,
  Claim,
  ClaimOptions,
  FencedReply,
  Lease,
  LostLease,
  PruneOptions,
  Settlement,
  SweepOptions,
  SweptTask
} from "@baton/core/TaskStore"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** What the write transactions of this module work with. */
export interface Writing {
  readonly sql: Statements
  /** Epoch milliseconds, read once for all tasks of a write. */
  readonly now: number
}

/** How many tasks a write moved into (or out of) each status; written to the counters once, at its end. */
export const tally = () => ({ pending: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 })

export type Tally = ReturnType<typeof tally>

export const count = ({ sql }: Writing, { cancelled, completed, failed, in_progress, pending, waiting }: Tally) => {
  if (pending || in_progress || completed || failed || cancelled || waiting) {
    sql.count(pending, in_progress, completed, failed, cancelled, waiting)
  }
}

/** The claimable rows in the order of claiming: one priority after the other, until there are enough. */
const claimable = (sql: Statements, limit: number, now: number): ReadonlyArray<Rows.Row> => {
  const rows: Array<Rows.Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  while (rows.length < limit) {
    const level = sql.priority(upTo)
    if (level === undefined) break
    const priority = Rows.int(level.priority)
    if (Rows.int(level.available_at) <= now) {
      for (const row of sql.claimable(priority, now, limit - rows.length)) rows.push(row)
    }
    upTo = priority - 1
  }
  return rows
}

export const claim = (writing: Writing, options: ClaimOptions): ReadonlyArray<Claim> => {
  const { now, sql } = writing
  const rows = claimable(sql, options.limit, now)
  if (rows.length === 0) return []
  const claims = Rows.claims(rows, now, (seq) => Rows.output(sql.previousExecution(seq)))
  const leaseUntil = Rows.toMillis(now + Duration.toMillis(options.lease))
  sql.lease(Rows.toText(options.owner), now, now, leaseUntil, JSON.stringify(rows.map(Rows.seq)))
  count(writing, { ...tally(), pending: -claims.length, in_progress: claims.length })
  return claims
}

/** Does `write` for each lease; those for which it changes nothing are no longer current. */
const fenced = <A extends Lease>(
  sql: Statements,
  leases: ReadonlyArray<A>,
  write: (id: string | Uint8Array, lease: A) => boolean
): FencedReply => {
  const lost: Array<LostLease> = []
  for (const lease of leases) {
    const id = Rows.toText(lease.taskId)
    if (write(id, lease)) continue
    const row = sql.state(id)
    lost.push({
      taskId: lease.taskId,
      token: lease.token,
      status: row === undefined ? null : Rows.status(row.status)
    })
  }
  return { lost }
}

export const extend = ({ now, sql }: Writing, leases: ReadonlyArray<Lease>, lease: Duration.Duration): FencedReply => {
  const leaseUntil = Rows.toMillis(now + Duration.toMillis(lease))
  return fenced(sql, leases, (id, { token }) => sql.extend(leaseUntil, id, token) === 1)
}

export const checkpoint = ({ now, sql }: Writing, checkpoints: ReadonlyArray<Checkpoint>): FencedReply =>
  fenced(
    sql,
    checkpoints,
    (id, { execution, token, usage }) =>
      sql.checkpoint(Rows.toJson(execution), Rows.toJsonOrNull(usage), now, id, token) === 1
  )

export const settle = (writing: Writing, settlements: ReadonlyArray<Settlement>): FencedReply => {
  const { sql } = writing
  const moved = tally()
  const completed: Array<string | Uint8Array> = []
  const reply = fenced(sql, settlements, (id, settlement) => {
    const status = settleOne(writing, id, settlement)
    if (status === undefined) return false
    moved[status]++
    moved.in_progress--
    if (status === "completed") completed.push(id)
    return true
  })
  // Asked once a batch, because most lists have no dependencies at all.
  if (completed.length > 0 && sql.hasDependencies() !== undefined) {
    for (const id of completed) moved.waiting -= unblock(sql, id)
  }
  count(writing, moved)
  return reply
}

/** The status that the task has now, or nothing if the lease is not current. */
const settleOne = (
  { now, sql }: Writing,
  id: string | Uint8Array,
  settlement: Settlement
): "completed" | "pending" | "failed" | undefined => {
  const { token } = settlement
  if (settlement._tag === "Release") {
    const used = Rows.toJsonOrNull(settlement.attemptUsage)
    if (sql.endUnsettled(now, "released", Rows.toText(settlement.reason), used, id, token) === 0) return undefined
    sql.release(Rows.toJsonOrNull(settlement.usage), now, now, id)
    return "pending"
  }
  const verification = Rows.toJsonOrNull(settlement.verification)
  const attemptUsage = Rows.toJsonOrNull(settlement.attemptUsage)
  const usage = Rows.toJsonOrNull(settlement.usage)
  if (settlement._tag === "Complete") {
    const execution = Rows.toJson(settlement.execution)
    const verified = settlement.verified ? 1 : 0
    return sql.complete(execution, verification, attemptUsage, verified, usage, now, id, token) === 1
      ? "completed"
      : undefined
  }
  const outcome = settlement._tag === "Retry" ? "retried" : "failed"
  const feedback = Rows.toText(settlement.feedback)
  const execution = Rows.toJsonOrNull(settlement.execution)
  if (sql.endAttempt(now, outcome, feedback, execution, verification, attemptUsage, id, token) === 0) return undefined
  const checkpoint = Rows.toJsonOrNull(settlement.checkpoint)
  if (settlement._tag === "Fail") {
    sql.fail(feedback, usage, checkpoint, now, id)
    return "failed"
  }
  sql.retry(Rows.toMillis(now + Duration.toMillis(settlement.delay)), feedback, usage, checkpoint, now, id)
  return "pending"
}

/** Lets those go on that waited for this task; how many of them wait for nothing any more. */
export const unblock = (sql: Statements, id: string | Uint8Array): number => {
  const freed = sql.unblock(id)
  if (freed.length > 0) sql.forgetDependency(id)
  return freed.filter(({ blockers, status }) => blockers === 0 && status === "pending").length
}

const lookup = (row: Rows.Row) => ({
  seq: Rows.int(row.seq),
  id: Rows.taskId(Rows.text(row.id)),
  token: Rows.leaseToken(Rows.int(row.token)),
  status: Rows.status(row.status),
  attempts: Rows.int(row.attempts),
  waits: Rows.int(row.blockers) > 0,
  updatedAt: Rows.int(row.updated_at)
})

/** What a transition knows of a task; read in the transaction that changes it, so that it cannot be out of date. */
export interface Found extends ReturnType<typeof lookup> {}

export const find = (sql: Statements, id: string): ReadonlyArray<Found> => {
  const row = sql.state(Rows.toText(id))
  return row === undefined ? [] : [lookup(row)]
}

export const findAll = (sql: Statements, status: TaskStatus, after: number, limit: number): ReadonlyArray<Found> =>
  sql.statesOf[status](after, limit).map(lookup)

/** The state that an event leads to, or nothing where the state machine knows no such transition. */
const next = (found: Found, event: TaskState.Transition, policy: TaskState.FailurePolicy) =>
  Result.getOrUndefined(TaskState.transition(found, event, policy))

/** For events that look at no policy. */
const anyPolicy: TaskState.FailurePolicy = { maxAttempts: Infinity, onCrash: "retry" }

const leaseExpired = TaskState.Transition.cases.LeaseExpired.make({})
const requeued = TaskState.Transition.cases.Requeued.make({})
const cancelled = TaskState.Transition.cases.Cancelled.make({})

const move = (moved: Tally, found: Found, to: TaskStatus) => {
  moved[found.status]--
  moved[to]++
  if (!found.waits) return
  if (found.status === "pending") moved.waiting--
  if (to === "pending") moved.waiting++
}

export const sweep = (writing: Writing, options: SweepOptions, limit: number): ReadonlyArray<SweptTask> => {
  const { now, sql } = writing
  const moved = tally()
  const swept = sql.expired(now, limit).flatMap((row): ReadonlyArray<SweptTask> => {
    const found = lookup(row)
    const state = next(found, leaseExpired, options)
    if (state === undefined) return []
    const owner = Rows.text(row.owner)
    const silence = Rows.toText(`Worker ${owner} stopped answering.`)
    const failed = state.status === "failed"
    sql.endUnsettled(now, "lease_expired", silence, null, Rows.toText(found.id), found.token)
    if (failed) sql.bury(silence, now, found.seq)
    else sql.takeBack(now, now, found.seq)
    move(moved, found, state.status)
    const { attempts } = state
    return [{ taskId: found.id, token: found.token, status: failed ? "failed" : "pending", owner, attempts }]
  })
  count(writing, moved)
  return swept
}

/** Puts those back that have failed or were cancelled; the ones that changed. */
export const requeue = (writing: Writing, tasks: ReadonlyArray<Found>): ReadonlyArray<Found> => {
  const { now, sql } = writing
  const moved = tally()
  const changed = tasks.filter((found) => {
    if (next(found, requeued, anyPolicy) === undefined) return false
    sql.requeue(now, now, found.seq)
    move(moved, found, "pending")
    return true
  })
  count(writing, moved)
  return changed
}

/** Cancels those that are pending or running; the ones that changed, in the status that they had. */
export const cancel = (writing: Writing, tasks: ReadonlyArray<Found>): ReadonlyArray<Found> => {
  const { now, sql } = writing
  const moved = tally()
  const changed = tasks.filter((found) => {
    if (next(found, cancelled, anyPolicy) === undefined) return false
    // Does nothing for a pending task, which has no attempt under way.
    sql.endUnsettled(now, "cancelled", "The task was cancelled while it ran.", null, Rows.toText(found.id), found.token)
    sql.cancel(now, found.seq)
    move(moved, found, "cancelled")
    return true
  })
  if (changed.some(({ status }) => status === "in_progress")) sql.revise()
  count(writing, moved)
  return changed
}

/** Deletes those that are in one of the statuses and have not changed for long enough; how many. */
export const prune = (writing: Writing, options: PruneOptions, tasks: ReadonlyArray<Found>): number => {
  const { now, sql } = writing
  const moved = tally()
  const latest = options.olderThan === undefined ? Infinity : now - Duration.toMillis(options.olderThan)
  const statuses: ReadonlyArray<TaskStatus> = options.statuses
  const gone = tasks.filter(({ status, updatedAt }) => statuses.includes(status) && updatedAt <= latest)
  for (const { seq, status } of gone) {
    sql.removeTask(seq)
    sql.removeInputs(seq)
    sql.removeAttempts(seq)
    sql.removeDependencies(seq)
    moved[status]--
  }
  count(writing, moved)
  return gone.length
}
