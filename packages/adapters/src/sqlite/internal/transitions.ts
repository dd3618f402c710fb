import * as Schema from "effect/Schema"
import * as QueuePause from "@baton/core/QueuePause"
import { TaskStatus } from "@baton/core/Task"
import type {
  ChangeReply,
  CheckpointRow,
  ClaimRequest,
  ClaimRow,
  DecisionRow,
  LeaseRow,
  LostLeaseRow,
  RevisionRow,
  SelectionRow,
  SettlementRow,
  SweepRequest,
  SweptRow
} from "@baton/core/TaskStoreDriver"
import * as Budgets from "./budgets.ts"
import type { Writing } from "./connection.ts"
import * as Keys from "./keys.ts"
import * as Pauses from "./pauses.ts"
import * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"

/** The last day that a date can name; a longer delay means that the task does not become available by itself. */
const endOfTime = 8.64e15

const later = (now: number, millis: number): number => Math.min(now + millis, endOfTime)

/** The number of tasks that a write moves into each status, or out of it. */
const noTasks = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }

export type Tally = typeof noTasks

/** By queue: the counters of a queue change once per write. */
export type Tallies = Map<number, Tally>

export const tallyOf = (tallies: Tallies, queue: number): Tally => {
  const found = tallies.get(queue)
  if (found !== undefined) return found
  const tally = { ...noTasks }
  tallies.set(queue, tally)
  return tally
}

export const count = ({ sql }: Writing, tallies: Tallies) => {
  for (const [queue, { cancelled, completed, failed, in_progress, in_review, pending, waiting }] of tallies) {
    if (pending || in_progress || in_review || completed || failed || cancelled || waiting) {
      sql.count(pending, in_progress, in_review, completed, failed, cancelled, waiting, queue)
    }
  }
}

// --------------------------------------------------------------------------------------------------- claiming

/** When the next task without a key of a queue is available, in epoch milliseconds; exact only if that is after `now`. */
export const nextAvailable = (sql: Statements, queue: number | null, now: number): number => {
  let earliest = Infinity
  for (const part of sql.parts) {
    let upTo = Number.MAX_SAFE_INTEGER
    while (earliest > now) {
      const level = part.priority(queue, upTo)
      if (level === undefined) break
      earliest = Math.min(earliest, Number(level.available_at))
      upTo = Number(level.priority) - 1
    }
  }
  return earliest
}

export const isClaimable = (sql: Statements, queue: number | null, now: number, maxPerKey: number): boolean =>
  nextAvailable(sql, queue, now) <= now || sql.dueKey(queue, now, maxPerKey) !== undefined

/** The claimable rows of a queue in the order of claiming: one priority after another, until there are enough. */
const claimable = (sql: Statements, queue: number, limit: number, now: number): ReadonlyArray<Rows.Row> => {
  const rows: Array<Rows.Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  while (rows.length < limit) {
    const levels = sql.parts.map((part) => part.priority(queue, upTo))
    const priority = Math.max(...levels.map((level) => Number(level?.priority ?? -Infinity)))
    if (priority === -Infinity) break
    for (const [index, part] of sql.parts.entries()) {
      const level = levels[index]
      if (level?.priority !== priority || Number(level.available_at) > now || rows.length === limit) continue
      for (const row of part.claimable(queue, priority, now, limit - rows.length)) rows.push(row)
    }
    upTo = priority - 1
  }
  return rows
}

export const claim = (writing: Writing, request: ClaimRequest, repair: () => void): ReadonlyArray<ClaimRow> => {
  const { now, sql } = writing
  const pause = Pauses.of(sql, request.queue)
  const claimable = pause === undefined ? "all" : QueuePause.claimable(pause, now)
  if (pause === undefined || claimable === "all") return claimUpTo(writing, request, request.limit, repair)
  if (claimable === "nothing") return []
  const [probe] = claimUpTo(writing, request, 1, repair)
  if (probe === undefined) return []
  sql.startProbe(later(now, request.leaseMillis), request.queue)
  return [{ ...probe, probes: pause.revision }]
}

const claimUpTo = (
  writing: Writing,
  { leaseMillis, maxPerKey, owner, queue: name, started }: ClaimRequest,
  limit: number,
  repair: () => void
): ReadonlyArray<ClaimRow> => {
  const { now, sql } = writing
  const queue = Rows.queueId(sql.queue(name))
  if (queue === null) return []
  const isKeyed = sql.keyPriority(queue, Number.MAX_SAFE_INTEGER) !== undefined
  const find = () =>
    isKeyed ? Keys.claimable(sql, { queue, limit, now, maxPerKey }) : claimable(sql, queue, limit, now)
  let rows = find()
  if (rows.length === 0 && isClaimable(sql, queue, now, maxPerKey)) {
    // An index has a task that its table does not have.
    repair()
    rows = find()
  }
  if (rows.length === 0) return []
  sql.noteLease(leaseMillis)
  const tokenFloor = Number(sql.tokenFloor()?.token_floor)
  const claims = rows.map((row) =>
    Rows.claim(row, name, now, tokenFloor, (seq) => sql.previousExecution(seq)?.execution ?? null)
  )
  const leaseUntil = later(now, leaseMillis)
  const seqs = claims.map(({ seq }) => seq)
  const lease = (part: ReadonlyArray<number>, startedAt: number | null) =>
    part.length === 0 ? 0 : sql.lease(owner, now, leaseUntil, tokenFloor, JSON.stringify(part), startedAt)
  const leased = lease(seqs.slice(0, started), now) + lease(seqs.slice(started), null)
  if (isKeyed) Keys.endTurns(sql, queue, rows)
  if (leased !== claims.length) {
    repair()
    return claims.filter(({ seq, token }) => sql.leased(seq, Number(token)) !== undefined)
  }
  count(writing, new Map([[queue, { ...noTasks, pending: -claims.length, in_progress: claims.length }]]))
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

export const start = ({ now, sql }: Writing, leases: ReadonlyArray<LeaseRow>) =>
  underLeases(sql, leases, ({ id, token }) => sql.start(now, id, token))

export const extend = ({ now, sql }: Writing, leases: ReadonlyArray<LeaseRow>, leaseMillis: number) => {
  const leaseUntil = later(now, leaseMillis)
  sql.noteLease(leaseMillis)
  return underLeases(sql, leases, ({ id, token }) => sql.extend(leaseUntil, id, token))
}

export const checkpoint = ({ now, sql }: Writing, checkpoints: ReadonlyArray<CheckpointRow>) =>
  underLeases(sql, checkpoints, ({ execution, executionUsage, id, token, usage }) =>
    sql.checkpoint(execution, executionUsage, usage, now, id, token)
  )

export const settle = (writing: Writing, settlements: ReadonlyArray<SettlementRow>): ReadonlyArray<LostLeaseRow> => {
  const { sql } = writing
  const budgets = Budgets.open(sql)
  const settled: Array<SettlementRow> = []
  const completed: Array<string> = []
  const lost = underLeases(sql, settlements, (settlement) => {
    if (!settleOne(writing, settlement)) return false
    const row = budgets && sql.state(settlement.id)
    if (row !== undefined) budgets?.end(Number(row.seq), Number(row.queue), settlement.spent)
    settled.push(settlement)
    if (settlement.status === "completed") completed.push(settlement.id)
    return true
  })
  const tallies = tallySettled(sql, settled)
  // Checked once per batch, because most lists have no dependencies.
  if (completed.length > 0 && sql.hasDependencies() !== undefined) {
    for (const id of completed) unblock(sql, id, tallies)
  }
  count(writing, tallies)
  budgets?.close()
  return lost
}

/** Counts settled tasks by queue. In a store with one queue, which is the most frequent kind, this reads no task. */
const tallySettled = (sql: Statements, settled: ReadonlyArray<SettlementRow>): Tallies => {
  const tallies: Tallies = new Map()
  const note = (queue: unknown, status: TaskStatus, by: number) => {
    const moved = tallyOf(tallies, Number(queue))
    moved.in_progress -= by
    moved[status] += by
  }
  const [only, another] = sql.twoQueues()
  if (another === undefined) {
    for (const { status } of settled) note(only?.queue, status, 1)
  } else {
    const ids = JSON.stringify(settled.map(({ id }) => id))
    for (const { count, queue, status } of sql.statuses(ids)) note(queue, statusOf(status), Number(count))
  }
  return tallies
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
  const staysInRow = outcome === "completed" || outcome === "in_review"
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

/** Decides about tasks in review. */
export const decide = (writing: Writing, decisions: ReadonlyArray<DecisionRow>): ReadonlyArray<LostLeaseRow> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const lost = underLeases(sql, decisions, (decision) => {
    const { execution, id, status, token, verification } = decision
    const state = stateOf(sql, id)[0]
    if (state?.status !== "in_review" || state.token !== token) return false
    const isCompleted = status === "completed"
    if (!isCompleted) sql.endReview(now, decision.outcome, decision.error, execution, verification, id, token)
    sql.decide(
      status,
      status === "pending" ? now : null,
      decision.verified ? 1 : 0,
      decision.feedback,
      isCompleted ? execution : null,
      isCompleted ? verification : null,
      now,
      id,
      token
    )
    move(tallies, state, status)
    if (isCompleted) unblock(sql, id, tallies)
    return true
  })
  count(writing, tallies)
  return lost
}

/** Frees the dependants of a task. Pending ones that have no other blocker no longer wait. */
export const unblock = (sql: Statements, id: string, tallies: Tallies) => {
  const dependants = sql.unblock(id)
  if (dependants.length > 0) sql.forgetDependency(id)
  for (const { blockers, queue, status } of dependants) {
    if (blockers === 0 && status === "pending") tallyOf(tallies, Number(queue)).waiting--
  }
}

// ------------------------------------------------------------- sweeping, requeueing, cancelling, pruning

const statusOf: (value: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)

const decodeState = (row: Rows.Row) => ({
  seq: Number(row.seq),
  id: String(row.id),
  queue: Number(row.queue),
  status: statusOf(row.status),
  isBlocked: Number(row.blockers) > 0,
  attempts: Number(row.attempts),
  token: Number(row.token),
  owner: String(row.owner),
  isStarted: row.started_at !== null,
  updatedAt: Number(row.updated_at)
})

/** What a transition needs to know of a task, read in the transaction that changes it. */
interface State extends ReturnType<typeof decodeState> {}

const stateOf = (sql: Statements, id: string): ReadonlyArray<State> => {
  const row = sql.state(id)
  return row === undefined ? [] : [decodeState(row)]
}

const move = (tallies: Tallies, { isBlocked, queue, status }: State, to: TaskStatus) => {
  const moved = tallyOf(tallies, queue)
  moved[status]--
  moved[to]++
  if (!isBlocked) return
  if (status === "pending") moved.waiting--
  if (to === "pending") moved.waiting++
}

/** When the first lease in a queue ends, in epoch milliseconds. */
export const leaseEnd = (sql: Statements, queue: number | null): number => {
  const row = sql.leaseEnd(queue)
  return row === undefined ? Infinity : Number(row.lease_until)
}

/** Whether there is a lease to sweep, or one to shorten because the clock was set back. */
export const isSweepable = (sql: Statements, queue: number | null, now: number): boolean =>
  leaseEnd(sql, queue) <= now || sql.impossibleLease(queue, now) !== undefined

export const sweep = (
  writing: Writing,
  { failFromAttempts, limit, message, notStarted, queue }: SweepRequest,
  repair: () => void
): ReadonlyArray<SweptRow> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const queueRow = Rows.queueId(sql.queue(queue))
  sql.shortenLeases(queueRow, now)
  const expired = () => sql.expired(queueRow, now, limit)
  let rows = expired()
  // Reads the row by its id: in the rows above, SQLite takes the status from the condition of the index.
  const isFound = ({ id, seq }: Rows.Row) => {
    const state = sql.state(String(id))
    return state !== undefined && state.seq === seq && state.status === "in_progress"
  }
  if (!rows.every(isFound) || (rows.length === 0 && leaseEnd(sql, queueRow) <= now)) {
    // An index has another row than its table.
    repair()
    rows = expired()
  }
  const budgets = Budgets.open(sql)
  const swept = rows.map((row): SweptRow => {
    const state = decodeState(row)
    const { id, isStarted, owner, token } = state
    if (!isStarted) {
      const error = notStarted.message.beforeOwner + owner + notStarted.message.afterOwner
      const attempts = Math.max(0, state.attempts - notStarted.attemptsReturned)
      sql.endInterrupted(now, "released", error, null, id, token)
      budgets?.end(state.seq, state.queue, undefined)
      sql.interrupt("pending", notStarted.attemptsReturned, now, null, null, now, id)
      move(tallies, state, "pending")
      return { id, token, status: "pending", owner, attempts, started: false }
    }
    const { attempts } = state
    const failsFrom = failFromAttempts === 0 ? 0 : Number(row.max_attempts ?? failFromAttempts)
    const status = attempts >= failsFrom ? "failed" : "pending"
    const error = message.beforeOwner + owner + message.afterOwner
    sql.endInterrupted(now, "lease_expired", error, null, id, token)
    budgets?.end(state.seq, state.queue, undefined)
    if (status === "failed") sql.interrupt(status, 0, null, error, null, now, id)
    else sql.interrupt(status, 0, now, null, null, now, id)
    move(tallies, state, status)
    return { id, token, status, owner, attempts, started: true }
  })
  count(writing, tallies)
  budgets?.close()
  return swept
}

/** Acts on the selected tasks whose status is in `from` and that `matches` accepts. */
const changeSelected = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  act: (state: State, tallies: Tallies) => void,
  matches: (state: State) => boolean = () => true
): ChangeReply => {
  const { sql } = writing
  const found =
    "ids" in selection
      ? selection.ids.flatMap((id) => stateOf(sql, id))
      : sql.statesOf[selection.status](selection.after, selection.limit, selection.queue).map(decodeState)
  const chosen = found.filter((state) => from.includes(state.status) && matches(state))
  const tallies: Tallies = new Map()
  for (const state of chosen) act(state, tallies)
  count(writing, tallies)
  return {
    ids: chosen.map(({ id }) => id),
    interrupted: chosen.filter(({ status }) => status === "in_progress").length,
    last: "ids" in selection || found.length < selection.limit ? null : (found.at(-1)?.seq ?? null)
  }
}

export const requeue = (writing: Writing, selection: SelectionRow, from: ReadonlyArray<TaskStatus>): ChangeReply =>
  changeSelected(writing, selection, from, (state, tallies) => {
    writing.sql.requeue(writing.now, state.seq)
    move(tallies, state, "pending")
  })

/** Returns the ids that changed. */
export const revise = (
  writing: Writing,
  revisions: ReadonlyArray<RevisionRow>,
  from: ReadonlyArray<TaskStatus>
): ReadonlyArray<string> => {
  const { now, sql } = writing
  const tallies: Tallies = new Map()
  const ids = revisions.flatMap(({ feedback, id, token, work }) =>
    stateOf(sql, id).flatMap((state) => {
      if (!from.includes(state.status) || (token !== null && token !== state.token)) return []
      if (state.status === "completed") sql.endCompleted(state.seq)
      sql.reviseTask(feedback, now, state.seq)
      if (work !== null) {
        sql.reviseInputs(work.description, work.metadata ?? Rows.noMetadata, work.payload, work.overrides, state.seq)
      }
      move(tallies, state, "pending")
      return id
    })
  )
  count(writing, tallies)
  return ids
}

export const failWaiting = (
  writing: Writing,
  ids: ReadonlyArray<string>,
  from: ReadonlyArray<TaskStatus>,
  feedback: string
): ReadonlyArray<string> =>
  changeSelected(
    writing,
    { ids },
    from,
    (state, tallies) => {
      writing.sql.interrupt("failed", 0, null, feedback, null, writing.now, state.id)
      move(tallies, state, "failed")
    },
    ({ isBlocked }) => isBlocked
  ).ids

export const cancel = (
  writing: Writing,
  selection: SelectionRow,
  from: ReadonlyArray<TaskStatus>,
  reason: string
): ChangeReply => {
  const { now, sql } = writing
  const budgets = Budgets.open(sql)
  const reply = changeSelected(writing, selection, from, (state, tallies) => {
    if (state.status === "in_progress") budgets?.end(state.seq, state.queue, undefined)
    // Writes nothing for a pending task, which has no attempt under way.
    sql.endInterrupted(now, "cancelled", reason, null, state.id, state.token)
    sql.interrupt("cancelled", 0, null, null, null, now, state.id)
    move(tallies, state, "cancelled")
  })
  budgets?.close()
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
    ({ queue, seq, status, token }, tallies) => {
      sql.removeTask(seq)
      sql.removeInputs(seq)
      sql.removeAttempts(seq)
      sql.removeDependencies(seq)
      tallyOf(tallies, queue)[status]--
      greatestToken = Math.max(greatestToken, token)
    },
    ({ updatedAt }) => updatedAt <= latest
  )
  sql.removeEmptyQueues()
  if (greatestToken > 0) sql.raiseTokenFloor(greatestToken)
  return reply
}
