/** Holds the history that the workers wrote against what the store says in the end. Pure: the same input, the same verdict. */
import type { Attempt, TaskRecord } from "@baton/core"
import type { Injected, Kill, Outage } from "./faults.ts"
import type { Line } from "./history.ts"

export interface Evidence {
  /** The ids of all tasks that were added. */
  readonly added: ReadonlyArray<string>
  readonly history: ReadonlyArray<Line>
  /** Everything that the store knows in the end. */
  readonly records: ReadonlyArray<TaskRecord.TaskRecord>
  readonly injected: Pick<Injected, "kills" | "freezes" | "outages">
  /** Whether a worker that is frozen in the middle of a write keeps all others from writing, as SQLite's lock does. */
  readonly sharesLock: boolean
  readonly maxAttempts: number
  readonly leaseMillis: number
  /** How long a takeover may take beyond the lease: a heartbeat of the others, which is a third of it, and the claim. */
  readonly marginMillis: number
}

export interface Violation {
  /** Null where it is no single task's. */
  readonly task: string | null
  readonly message: string
}

export interface Findings {
  readonly violations: ReadonlyArray<Violation>
  readonly completed: number
  readonly failed: number
  readonly executions: number
  /** Executions that were only needed because the one before was cut off. */
  readonly repeated: number
  /** Executions that a worker began when its lease was gone already, before it could know. */
  readonly late: number
  /** Writes that the store refused because their lease was gone. */
  readonly fenced: number
  /** How long it took until somebody else had the tasks of a killed worker; only where the store was there meanwhile. */
  readonly takeovers: ReadonlyArray<number>
  /** Those during which the store could not be reached by all, or had just come back. */
  readonly disturbedTakeovers: number
  readonly lost: number
  readonly settledTwice: number
}

/** What counts as an attempt. */
const counted = new Set(["completed", "retried", "failed", "lease_expired"])
/** Where nobody came to an end, so that what was begun is done again. */
const cutOff = new Set(["lease_expired", "released"])

const ledgerOutcome = { Complete: "completed", Retry: "retried", Fail: "failed", Release: "released" } as const

type Of<Tag extends Line["_tag"]> = Extract<Line, { readonly _tag: Tag }>

/** What the workers saw of one task, in order. */
interface Seen {
  readonly executed: ReadonlyArray<Of<"Executed">>
  readonly saved: ReadonlyArray<Of<"Saved">>
  readonly settled: ReadonlyArray<Of<"Settled">>
  readonly fenced: ReadonlyArray<Of<"Fenced">>
  readonly claimed: ReadonlyArray<Of<"Claimed">>
  readonly told: ReadonlyArray<Of<"Told">>
}

const see = (lines: ReadonlyArray<Line>): Seen => {
  const of = <Tag extends Line["_tag"]>(tag: Tag) =>
    lines.filter((line): line is Extract<Line, { readonly _tag: Tag }> => line._tag === tag)
  return {
    executed: of("Executed"),
    saved: of("Saved"),
    settled: of("Settled"),
    fenced: of("Fenced"),
    claimed: of("Claimed"),
    told: of("Told")
  }
}

/** The lines of each task. */
export const byTask = (history: ReadonlyArray<Line>): ReadonlyMap<string, ReadonlyArray<Line>> =>
  Map.groupBy(history, ({ task }) => task)

export const check = (evidence: Evidence): Findings => {
  const violations: Array<Violation> = []
  const lines = byTask(evidence.history)
  const records = new Map<string, TaskRecord.TaskRecord>(evidence.records.map((record) => [record.task.id, record]))
  const takeovers: Array<number> = []
  const totals = { completed: 0, failed: 0, repeated: 0, late: 0, lost: 0, settledTwice: 0, disturbedTakeovers: 0 }

  const outages = [...evidence.injected.outages, ...(evidence.sharesLock ? standstills(evidence) : [])]

  const added = new Set(evidence.added)
  for (const [id] of lines) if (!added.has(id)) violations.push({ task: id, message: "was never added" })
  for (const id of records.keys()) {
    if (!added.has(id)) violations.push({ task: id, message: "is in the store and was never added" })
  }

  for (const id of evidence.added) {
    const seen = see(lines.get(id) ?? [])
    const record = records.get(id)
    const violate = (message: string) => violations.push({ task: id, message })
    if (record === undefined || (record.task.status !== "completed" && record.task.status !== "failed")) {
      totals.lost++
      violate(record === undefined ? "is not in the store any more" : `did not end: it is ${record.task.status}`)
      if (record === undefined) continue
    } else {
      totals[record.task.status]++
      checkEnd(record, seen, evidence.maxAttempts, violate)
    }
    if (isSettledTwice(record, seen)) {
      totals.settledTwice++
      violate("was settled for good more than once")
    }
    checkLedger(record, seen, violate)
    checkAnswers(record, seen, violate)
    checkExecutions(record, seen, violate)
    totals.repeated += countRepeated(record, seen)
    totals.late += countLate(record, seen)
    for (const takeover of takeoversOf(record, evidence.injected.kills, outages)) {
      if (takeover.disturbed) totals.disturbedTakeovers++
      else takeovers.push(takeover.millis)
      if (takeover.disturbed || takeover.millis <= evidence.leaseMillis + evidence.marginMillis) continue
      violate(`was taken over ${takeover.millis} ms after ${takeover.worker} was killed`)
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

/** The task ended once, by its last attempt, and its result is what that attempt was entitled to write. */
const checkEnd = (
  { attempts, task, token }: TaskRecord.TaskRecord,
  seen: Seen,
  maxAttempts: number,
  violate: Violate
) => {
  const last = attempts.at(-1)
  if (last === undefined || last.token !== token) return violate("has no ledger row for its last lease")
  if (task.status === "failed") {
    // A task whose workers keep dying ends without anybody settling it.
    const usedUp = last.outcome === "lease_expired" && task.attempts >= maxAttempts
    if (last.outcome !== "failed" && !usedUp) violate(`failed, and its last attempt is ${last.outcome}`)
    return
  }
  if (last.outcome !== "completed") return violate(`is completed, and its last attempt is ${last.outcome}`)
  if (task.result !== last.execution?.output) violate("has another result than the attempt that completed it")
  const source = seen.executed.find(({ output }) => output === task.result)
  if (source === undefined) return violate("has a result that nobody brought out")
  if (source.token === last.token) return
  // An output of an earlier lease counts only if it was made durable while that lease was current.
  const earlier = attempts.find(({ token }) => token === source.token)
  if (earlier?.execution?.output !== task.result) violate("has the result of a worker that had lost its lease")
}

/** One final row, one final acknowledgement, one announcement of each kind at most. */
const isSettledTwice = ({ attempts }: TaskRecord.TaskRecord, { settled, told }: Seen): boolean => {
  return (
    attempts.filter(({ outcome }) => outcome === "completed" || outcome === "failed").length > 1 ||
    new Set(settled.filter(({ as }) => as === "Complete" || as === "Fail").map(({ token }) => token)).size > 1 ||
    told.filter(({ event }) => event === "TaskCompleted" || event === "TaskFailed").length > 1
  )
}

/** Attempts add up: the rows are numbered as they count, under leases that grow. */
const checkLedger = ({ attempts, task, token }: TaskRecord.TaskRecord, { claimed }: Seen, violate: Violate) => {
  let count = 0
  let before = 0
  for (const row of attempts) {
    if (row.token <= before) violate(`has lease ${row.token} after lease ${before} in its ledger`)
    before = row.token
    if (row.number !== count + 1) violate(`has an attempt ${row.number} where ${count + 1} is due (lease ${row.token})`)
    if (counted.has(row.outcome)) count++
    else if (row.outcome !== "released") violate(`has an attempt that is ${row.outcome} (lease ${row.token})`)
  }
  if (count !== task.attempts) violate(`says ${task.attempts} attempts, and its ledger has ${count}`)
  if (attempts.length !== token) violate(`was claimed ${token} times, and its ledger has ${attempts.length} rows`)
  const rows = byToken(attempts)
  const claimants = new Set<number>()
  for (const { token, worker } of claimed) {
    if (claimants.has(token)) violate(`was handed out twice under lease ${token}`)
    claimants.add(token)
    const owner = rows.get(token)?.owner
    if (owner === undefined) violate(`was claimed under lease ${token}, of which the ledger knows nothing`)
    else if (!isOf(owner, worker)) violate(`was claimed by ${worker} under lease ${token}, which is ${owner}'s`)
  }
}

/** What the store acknowledged is there, and what it refused is not. */
const checkAnswers = ({ attempts }: TaskRecord.TaskRecord, { fenced, saved, settled }: Seen, violate: Violate) => {
  const rows = byToken(attempts)
  for (const { as, token } of settled) {
    const outcome = rows.get(token)?.outcome
    if (outcome !== ledgerOutcome[as]) violate(`was settled as ${as} under lease ${token}, and that is ${outcome}`)
  }
  for (const { output, token } of saved) {
    if (rows.get(token)?.execution?.output !== output) violate(`lost the output that was saved under lease ${token}`)
  }
  for (const { as, output, token, what } of fenced) {
    const row = rows.get(token)
    // Refused the second time, because the answer to the first was lost on its way.
    if (what === "settle" && as !== null && row?.outcome === ledgerOutcome[as]) continue
    if (row?.outcome === "running") violate(`was refused a ${what} under lease ${token}, which was current`)
    const wasSaved = saved.some((line) => line.token === token && line.output === output)
    if (what === "checkpoint" && !wasSaved && output !== null && row?.execution?.output === output) {
      // A checkpoint whose answer was lost, and whose lease ended before it was sent again.
      if (!cutOff.has(row.outcome)) violate(`kept an output that was refused under lease ${token}`)
    }
  }
}

/**
 * A lease is used for one execution at most, and by the worker that has it. Once an output is saved, no later lease executes
 * until a verdict was given: until an attempt was retried with a verification that did not pass.
 */
const checkExecutions = ({ attempts }: TaskRecord.TaskRecord, { executed, saved }: Seen, violate: Violate) => {
  const rows = byToken(attempts)
  const executions = Map.groupBy(executed, ({ token }) => token)
  for (const [token, runs] of executions) {
    const owner = rows.get(token)?.owner
    if (runs.length > 1) violate(`was executed ${runs.length} times under lease ${token}`)
    for (const { worker } of runs) {
      if (owner === undefined || !isOf(owner, worker))
        violate(`was executed by ${worker} under ${owner}'s lease ${token}`)
    }
  }
  let kept: number | undefined
  for (const row of attempts) {
    if (kept !== undefined && executions.has(row.token)) {
      violate(`was executed under lease ${row.token}, although its output was saved under lease ${kept}`)
    }
    // Of an attempt that was cut off, the ledger has what was saved; also where the worker never heard of that.
    if (saved.some(({ token }) => token === row.token) || (cutOff.has(row.outcome) && row.execution !== null)) {
      kept ??= row.token
    }
    // No verdict: the output is kept, whether or not its saving was heard of.
    if (row.outcome === "retried" && row.verification !== null) kept = undefined
  }
}

const countRepeated = ({ attempts }: TaskRecord.TaskRecord, { executed }: Seen): number => {
  const tokens = new Set(executed.map(({ token }) => token))
  let unfinished = false
  let repeated = 0
  for (const { outcome, token } of attempts) {
    if (!tokens.has(token)) continue
    if (unfinished) repeated++
    unfinished = cutOff.has(outcome)
  }
  return repeated
}

const countLate = ({ attempts }: TaskRecord.TaskRecord, { executed }: Seen): number => {
  const rows = byToken(attempts)
  return executed.filter(({ at, token }) => {
    const row = rows.get(token)
    return row?.outcome === "lease_expired" && row.endedAt !== null && row.endedAt.epochMilliseconds < at
  }).length
}

/** Freezes during which nobody else got anything written either. */
const standstills = ({ history, injected }: Evidence): ReadonlyArray<Outage> =>
  injected.freezes.filter(
    ({ from, to, worker }) =>
      !history.some(
        (line) => line._tag !== "Executed" && line.worker !== worker && line.at > from + 500 && line.at < to
      )
  )

const takeoversOf = ({ attempts }: TaskRecord.TaskRecord, kills: ReadonlyArray<Kill>, outages: ReadonlyArray<Outage>) =>
  attempts.flatMap((row, index) => {
    const killed = kills.find(({ worker }) => isOf(row.owner, worker))
    if (killed === undefined || row.outcome !== "lease_expired" || row.endedAt === null) return []
    if (row.endedAt.epochMilliseconds < killed.at) return []
    // The last attempt is taken over by nobody: it goes to the dead-letter queue.
    const end = attempts[index + 1]?.startedAt ?? row.endedAt
    const millis = end.epochMilliseconds - killed.at
    const disturbed = outages.some(({ from, to }) => from <= end.epochMilliseconds && to >= killed.at)
    return [{ worker: killed.worker, millis, disturbed }]
  })

const byToken = (attempts: ReadonlyArray<Attempt.Attempt>): ReadonlyMap<number, Attempt.Attempt> =>
  new Map(attempts.map((row) => [row.token, row]))

/** An orchestrator adds a random suffix to the name that it is given. */
const isOf = (owner: string, worker: string): boolean => owner.startsWith(`${worker}-`)
