/** Compares the history that the workers wrote with the final contents of the store. Pure: the same input gives the same findings. */
import type { Attempt, TaskRecord } from "@baton/core"
import type { Injected, Kill, Outage } from "./faults.ts"
import type { Line } from "./history.ts"

export interface Evidence {
  /** The ids of all added tasks. */
  readonly added: ReadonlyArray<string>
  readonly history: ReadonlyArray<Line>
  /** The final contents of the store. */
  readonly records: ReadonlyArray<TaskRecord.TaskRecord>
  readonly injected: Pick<Injected, "kills" | "freezes" | "outages">
  /** Whether a worker that is frozen in the middle of a write blocks the writes of all others, as SQLite's lock does. */
  readonly sharesLock: boolean
  readonly maxAttempts: number
  readonly leaseMillis: number
  /** How much longer than the lease a takeover may take: a heartbeat of another worker (a third of the lease) and its claim. */
  readonly marginMillis: number
}

export interface Violation {
  /** Null if the violation concerns no particular task. */
  readonly task: string | null
  readonly message: string
}

export interface Findings {
  readonly violations: ReadonlyArray<Violation>
  readonly completed: number
  readonly failed: number
  readonly executions: number
  /** Executions that were necessary because the previous one was interrupted. */
  readonly repeated: number
  /** Executions that a worker started after its lease had expired, before its heartbeat noticed. */
  readonly late: number
  /** Writes that the store refused because their lease was lost. */
  readonly fenced: number
  /** How long it took until another worker claimed the tasks of a killed one, outages of the store excluded. */
  readonly takeovers: ReadonlyArray<number>
  /** Takeovers while some workers could not reach the store, or just after. */
  readonly disturbedTakeovers: number
  readonly lost: number
  readonly settledTwice: number
}

/** The outcomes that count as an attempt. */
const counted = new Set(["completed", "retried", "failed", "lease_expired"])
/** The outcomes of attempts that did not finish, so that their work is repeated. */
const unfinished = new Set(["lease_expired", "released"])

const ledgerOutcome = {
  Complete: "completed",
  Review: "in_review",
  Retry: "retried",
  Fail: "failed",
  Release: "released"
} as const

type LineOf<Tag extends Line["_tag"]> = Extract<Line, { readonly _tag: Tag }>

/** The lines of the history about one task, in order. */
interface Observed {
  readonly executed: ReadonlyArray<LineOf<"Executed">>
  readonly saved: ReadonlyArray<LineOf<"Saved">>
  readonly settled: ReadonlyArray<LineOf<"Settled">>
  readonly fenced: ReadonlyArray<LineOf<"Fenced">>
  readonly claimed: ReadonlyArray<LineOf<"Claimed">>
  readonly published: ReadonlyArray<LineOf<"Published">>
}

const observe = (lines: ReadonlyArray<Line>): Observed => {
  const of = <Tag extends Line["_tag"]>(tag: Tag) =>
    lines.filter((line): line is Extract<Line, { readonly _tag: Tag }> => line._tag === tag)
  return {
    executed: of("Executed"),
    saved: of("Saved"),
    settled: of("Settled"),
    fenced: of("Fenced"),
    claimed: of("Claimed"),
    published: of("Published")
  }
}

/** Groups the history by task. */
export const byTask = (history: ReadonlyArray<Line>): ReadonlyMap<string, ReadonlyArray<Line>> =>
  Map.groupBy(history, ({ task }) => task)

export const check = (evidence: Evidence): Findings => {
  const violations: Array<Violation> = []
  const lines = byTask(evidence.history)
  const records = new Map<string, TaskRecord.TaskRecord>(evidence.records.map((record) => [record.task.id, record]))
  const takeovers: Array<number> = []
  const totals = { completed: 0, failed: 0, repeated: 0, late: 0, lost: 0, settledTwice: 0, disturbedTakeovers: 0 }

  const outages = [...evidence.injected.outages, ...(evidence.sharesLock ? blockingFreezes(evidence) : [])]

  const added = new Set(evidence.added)
  for (const [id] of lines) if (!added.has(id)) violations.push({ task: id, message: "was never added" })
  for (const id of records.keys()) {
    if (!added.has(id)) violations.push({ task: id, message: "is in the store, but was never added" })
  }

  for (const id of evidence.added) {
    const observed = observe(lines.get(id) ?? [])
    const record = records.get(id)
    const violate = (message: string) => violations.push({ task: id, message })
    if (record === undefined || (record.task.status !== "completed" && record.task.status !== "failed")) {
      totals.lost++
      violate(record === undefined ? "is no longer in the store" : `did not end: its status is ${record.task.status}`)
      if (record === undefined) continue
    } else {
      totals[record.task.status]++
      checkEnd(record, observed, evidence.maxAttempts, violate)
    }
    if (isSettledTwice(record, observed)) {
      totals.settledTwice++
      violate("has more than one final settlement")
    }
    checkLedger(record, observed, violate)
    checkReplies(record, observed, violate)
    checkExecutions(record, observed, violate)
    totals.repeated += countRepeated(record, observed)
    totals.late += countLate(record, observed)
    for (const takeover of takeoversOf(record, evidence.injected.kills, outages)) {
      if (takeover.disturbed) totals.disturbedTakeovers++
      else takeovers.push(takeover.millis)
      if (takeover.disturbed || takeover.millis <= evidence.leaseMillis + evidence.marginMillis) continue
      violate(`was taken over only ${takeover.millis} ms after ${takeover.worker} was killed`)
    }
  }

  return {
    ...totals,
    violations,
    takeovers,
    executions: evidence.history.filter(({ _tag }) => _tag === "Executed").length,
    fenced: evidence.history.filter(({ _tag }) => _tag === "Fenced").length
  }
}

type Violate = (message: string) => void

/** The task ended with its last attempt, and that attempt was allowed to write the result. */
const checkEnd = (
  { attempts, task, token }: TaskRecord.TaskRecord,
  observed: Observed,
  maxAttempts: number,
  violate: Violate
) => {
  const last = attempts.at(-1)
  if (last === undefined || last.token !== token) return violate("has no ledger row for its last lease")
  if (task.status === "failed") {
    // A task whose workers keep dying is failed by a sweep, without a settlement.
    const usedUp = last.outcome === "lease_expired" && task.attempts >= maxAttempts
    if (last.outcome !== "failed" && !usedUp)
      violate(`is failed, but the outcome of its last attempt is ${last.outcome}`)
    return
  }
  if (last.outcome !== "completed")
    return violate(`is completed, but the outcome of its last attempt is ${last.outcome}`)
  if (task.result !== last.execution?.output) violate("has a different result than the attempt that completed it")
  const source = observed.executed.find(({ output }) => output === task.result)
  if (source === undefined) return violate("has a result that no execution produced")
  if (source.token === last.token) return
  // An output of an earlier lease is allowed only if it was saved while that lease was current.
  const earlier = attempts.find(({ token }) => token === source.token)
  if (earlier?.execution?.output !== task.result) violate("has the result of a worker that had lost its lease")
}

/** At most one final row, one final acknowledgement and one final event are allowed. */
const isSettledTwice = ({ attempts }: TaskRecord.TaskRecord, { published, settled }: Observed): boolean => {
  return (
    attempts.filter(({ outcome }) => outcome === "completed" || outcome === "failed").length > 1 ||
    new Set(settled.filter(({ as }) => as === "Complete" || as === "Fail").map(({ token }) => token)).size > 1 ||
    published.filter(({ event }) => event === "TaskCompleted" || event === "TaskFailed").length > 1
  )
}

/** The rows of the ledger are numbered consecutively, with increasing lease tokens, and add up to the task's count. */
const checkLedger = ({ attempts, task, token }: TaskRecord.TaskRecord, { claimed }: Observed, violate: Violate) => {
  let count = 0
  let before = 0
  for (const row of attempts) {
    if (row.token <= before) violate(`has lease ${row.token} after lease ${before} in its ledger`)
    before = row.token
    if (row.number !== count + 1)
      violate(`has attempt ${row.number} under lease ${row.token}, expected attempt ${count + 1}`)
    if (counted.has(row.outcome)) count++
    else if (row.outcome !== "released") violate(`has an attempt with outcome ${row.outcome} under lease ${row.token}`)
  }
  if (count !== task.attempts) violate(`counts ${task.attempts} attempts, but its ledger has ${count}`)
  if (attempts.length !== token) violate(`was claimed ${token} times, but its ledger has ${attempts.length} rows`)
  const rows = byToken(attempts)
  const claimants = new Set<number>()
  for (const { token, worker } of claimed) {
    if (claimants.has(token)) violate(`was claimed twice under lease ${token}`)
    claimants.add(token)
    const owner = rows.get(token)?.owner
    if (owner === undefined) violate(`was claimed under lease ${token}, which is not in the ledger`)
    else if (!isOwnedBy(owner, worker))
      violate(`was claimed by ${worker} under lease ${token}, which belongs to ${owner}`)
  }
}

/** Writes that the store acknowledged are in it, and writes that it refused are not. */
const checkReplies = ({ attempts }: TaskRecord.TaskRecord, { fenced, saved, settled }: Observed, violate: Violate) => {
  const rows = byToken(attempts)
  for (const { as, token } of settled) {
    const outcome = rows.get(token)?.outcome
    if (outcome !== ledgerOutcome[as])
      violate(`was settled as ${as} under lease ${token}, but its outcome is ${outcome}`)
  }
  for (const { output, token } of saved) {
    if (rows.get(token)?.execution?.output !== output) violate(`lost the output that was saved under lease ${token}`)
  }
  for (const { as, output, token, what } of fenced) {
    const row = rows.get(token)
    // The first reply was lost, so the worker repeated the write, which was refused.
    if (what === "settle" && as !== null && row?.outcome === ledgerOutcome[as]) continue
    if (row?.outcome === "running") violate(`was refused a ${what} under lease ${token}, which was current`)
    const wasSaved = saved.some((line) => line.token === token && line.output === output)
    if (what === "checkpoint" && !wasSaved && output !== null && row?.execution?.output === output) {
      // The reply to the checkpoint was lost, and the lease expired before the checkpoint was repeated.
      if (!unfinished.has(row.outcome)) violate(`kept an output that was refused under lease ${token}`)
    }
  }
}

/**
 * At most one execution happens under a lease, by the worker that holds it. Once an output is saved, no later lease executes
 * until an attempt is retried with a verdict that did not pass.
 */
const checkExecutions = ({ attempts }: TaskRecord.TaskRecord, { executed, saved }: Observed, violate: Violate) => {
  const rows = byToken(attempts)
  const executions = Map.groupBy(executed, ({ token }) => token)
  for (const [token, runs] of executions) {
    const owner = rows.get(token)?.owner
    if (rows.get(token)?.error?.includes("before it started") === true) {
      violate(`was executed under lease ${token}, which the store did not have as started`)
    }
    if (runs.length > 1) violate(`was executed ${runs.length} times under lease ${token}`)
    for (const { worker } of runs) {
      if (owner === undefined || !isOwnedBy(owner, worker))
        violate(`was executed by ${worker} under lease ${token}, which belongs to ${owner}`)
    }
  }
  let kept: number | undefined
  for (const row of attempts) {
    if (kept !== undefined && executions.has(row.token)) {
      violate(`was executed under lease ${row.token}, although its output was saved under lease ${kept}`)
    }
    // The ledger keeps the saved output of an unfinished attempt, even if the worker never received the acknowledgement.
    if (
      saved.some(({ token }) => token === row.token) ||
      (unfinished.has(row.outcome) && row.execution !== undefined)
    ) {
      kept ??= row.token
    }
    // Without a verdict, the saved output stays valid.
    if (row.outcome === "retried" && row.verification !== undefined) kept = undefined
  }
}

const countRepeated = ({ attempts }: TaskRecord.TaskRecord, { executed }: Observed): number => {
  const tokens = new Set(executed.map(({ token }) => token))
  let wasUnfinished = false
  let repeated = 0
  for (const { outcome, token } of attempts) {
    if (!tokens.has(token)) continue
    if (wasUnfinished) repeated++
    wasUnfinished = unfinished.has(outcome)
  }
  return repeated
}

const countLate = ({ attempts }: TaskRecord.TaskRecord, { executed }: Observed): number => {
  const rows = byToken(attempts)
  return executed.filter(({ at, token }) => {
    const row = rows.get(token)
    return row?.outcome === "lease_expired" && row.endedAt !== undefined && row.endedAt.epochMilliseconds < at
  }).length
}

/** Freezes during which the other workers could not write either. */
const blockingFreezes = ({ history, injected }: Evidence): ReadonlyArray<Outage> =>
  injected.freezes.filter(
    ({ from, to, worker }) =>
      !history.some(
        (line) => line._tag !== "Executed" && line.worker !== worker && line.at > from + 500 && line.at < to
      )
  )

const takeoversOf = ({ attempts }: TaskRecord.TaskRecord, kills: ReadonlyArray<Kill>, outages: ReadonlyArray<Outage>) =>
  attempts.flatMap((row, index) => {
    const killed = kills.find(({ worker }) => isOwnedBy(row.owner, worker))
    if (killed === undefined || row.outcome !== "lease_expired" || row.endedAt === undefined) return []
    if (row.endedAt.epochMilliseconds < killed.at) return []
    // After the last attempt there is no takeover: the task goes to the dead-letter queue.
    const end = attempts[index + 1]?.startedAt ?? row.endedAt
    const millis = end.epochMilliseconds - killed.at
    const disturbed = outages.some(({ from, to }) => from <= end.epochMilliseconds && to >= killed.at)
    return [{ worker: killed.worker, millis, disturbed }]
  })

const byToken = (attempts: ReadonlyArray<Attempt.Attempt>): ReadonlyMap<number, Attempt.Attempt> =>
  new Map(attempts.map((row) => [row.token, row]))

/** An orchestrator appends a random suffix to its configured name. */
const isOwnedBy = (owner: string, worker: string): boolean => owner.startsWith(`${worker}-`)
