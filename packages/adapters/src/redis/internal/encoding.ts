import * as Budget from "@baton/core/Budget"
import type {
  BudgetRow,
  PauseRow,
  AttemptRow,
  ClaimRow,
  DecisionRow,
  NewTaskRow,
  RecordRow,
  RestoreRow,
  RevisionRow,
  SettlementRow,
  SpendingRow,
  TaskRow
} from "@baton/core/TaskStoreDriver"
import { UnreadableReply } from "./errors.ts"

/** Between the rows of a driver and the arguments and replies of the scripts in `lua`. */

/** What a server replies. Each reader below throws for a reply that no script returns. */
export type Reply = unknown

const unreadable = (expected: string): never => {
  // Becomes an error in `Connection.run`, where all readers are called.
  throw new UnreadableReply({ message: `a reply is not ${expected}` })
}

export const array = (reply: Reply): ReadonlyArray<Reply> => (Array.isArray(reply) ? reply : unreadable("an array"))

export const text = (reply: Reply): string => (typeof reply === "string" ? reply : unreadable("a text"))

export const texts = (reply: Reply): ReadonlyArray<string> => array(reply).map(text)

export const number = (reply: Reply): number => {
  const found = typeof reply === "string" && reply !== "" ? Number(reply) : reply
  return typeof found === "number" && Number.isSafeInteger(found) ? found : unreadable("a number")
}

/** Makes a value of each group of `size` replies. */
export const groups = <A>(reply: Reply, size: number, read: (group: ReadonlyArray<Reply>) => A): ReadonlyArray<A> => {
  const replies = array(reply)
  return Array.from({ length: replies.length / size }, (_, index) =>
    read(replies.slice(index * size, (index + 1) * size))
  )
}

/** An optional document is empty where there is none; no document is. */
const orNull = (reply: Reply): Reply => (reply === "" ? null : reply)

const inputs = ({
  dependsOn,
  description,
  metadata,
  overrides,
  payload
}: Pick<NewTaskRow, "description" | "payload" | "overrides" | "metadata" | "dependsOn">) =>
  `${metadata ?? ""}\n${dependsOn ?? ""}\n${overrides ?? ""}\n${payload ?? ""}\n${description}`

export const revisionArguments = ({ feedback, id, token, work }: RevisionRow): ReadonlyArray<string> => [
  id,
  token === null ? "" : String(token),
  feedback === null ? "" : `=${feedback}`,
  String(work?.maxAttempts ?? "-"),
  work?.metadata ?? "",
  work === null ? "" : `${work.overrides ?? ""}\n${work.payload ?? ""}\n${work.description}`
]

/** The description comes last, because it can have line breaks. */
const parseInputs = (reply: Reply) => {
  const value = text(reply)
  const first = value.indexOf("\n")
  const second = value.indexOf("\n", first + 1)
  const third = value.indexOf("\n", second + 1)
  const fourth = value.indexOf("\n", third + 1)
  if (!(0 <= first && first < second && second < third && third < fourth)) return unreadable("the inputs of a task")
  return {
    metadata: orNull(value.slice(0, first)),
    dependsOn: orNull(value.slice(first + 1, second)),
    overrides: orNull(value.slice(second + 1, third)),
    payload: orNull(value.slice(third + 1, fourth)),
    description: value.slice(fourth + 1)
  }
}

/** The number of words in a line, and the places of `Limit` and of the queue among them. */
const lineLength = 15
const limitAt = 12
const queueAt = 13

/** The words of a task's line; see `Seq`, `Priority` and so on in `lua/library.ts`. */
const parseLine = (reply: Reply) => {
  const words = text(reply).split(" ")
  if (words.length < lineLength) return unreadable("the line of a task")
  if (words.length === lineLength) return words
  // The name of the queue contains spaces.
  return [...words.slice(0, queueAt), words.slice(queueAt, -1).join(" "), ...words.slice(-1)]
}

/** Behind the limit of attempts, a concurrency key is percent-encoded: the words of a line contain no spaces. */
const parseKey = (limit: string | undefined): string | null => {
  const slash = limit?.indexOf("/") ?? -1
  return limit === undefined || slash < 0 ? null : decodeURIComponent(limit.slice(slash + 1))
}

/** A task as `describe` in `lua/reading.ts` returns it. */
export const taskRow = (reply: Reply): TaskRow => {
  const [id, line, given, feedback, usage, execution, startedAt] = array(reply)
  const [seq, priority, createdAt, requeues, , availableAt, attempts, , , verified, status, updatedAt, limit, queue] =
    parseLine(line)
  return {
    seq,
    id,
    queue,
    ...parseInputs(given),
    status,
    attempts,
    priority,
    availableAt,
    concurrencyKey: parseKey(limit),
    feedback,
    verified,
    requeues,
    usage,
    createdAt,
    updatedAt,
    startedAt,
    execution
  }
}

/** A checkpoint, and on a second line what its execution used. */
const checkpoint = (execution: string, usage: string | null): string => `${execution}\n${usage ?? ""}`

const parseCheckpoint = (reply: Reply): { readonly execution: Reply; readonly usage: Reply } => {
  if (typeof reply !== "string") return { execution: null, usage: null }
  const end = reply.indexOf("\n")
  return end < 0
    ? { execution: reply, usage: null }
    : { execution: reply.slice(0, end), usage: orNull(reply.slice(end + 1)) }
}

const nothingEarlier = [null, null, null, null]

/** Claims that can be read, and the ids of the others. */
export interface Claims {
  readonly rows: ReadonlyArray<ClaimRow>
  readonly damaged: ReadonlyArray<string>
}

/** Claims as `claim` in `lua/claiming.ts` returns them. */
export const claimRows = (reply: Reply): Claims => {
  const [updated, ids, lines, given, known, probes = null] = array(reply)
  if (ids === undefined) return { rows: [], damaged: [] }
  const times = array(updated).map(number)
  const earlier = new Map(groups(known, 5, ([place, ...rest]) => [place, rest] as const))
  const allLines = array(lines)
  const allInputs = array(given)
  // Times are numbers, because core recognizes an equal number and does not make another date of it.
  const damaged: Array<string> = []
  const rows = array(ids).flatMap((id, index) => {
    if (!isClaim(allLines[index], allInputs[index])) {
      damaged.push(text(id))
      return []
    }
    const line = parseLine(allLines[index])
    const { dependsOn, description, metadata, overrides, payload } = parseInputs(allInputs[index])
    const [feedback, usage, checkpoint, execution] = earlier.get(index) ?? nothingEarlier
    return {
      seq: line[0],
      id,
      queue: line[queueAt],
      description,
      payload,
      overrides,
      attempts: number(line[6]) + 1,
      metadata,
      priority: line[1],
      availableAt: number(line[5]),
      dependsOn,
      concurrencyKey: parseKey(line[limitAt]),
      feedback,
      requeues: line[3],
      usage,
      createdAt: number(line[2]),
      updatedAt: times[index] ?? times[0],
      token: number(line[7]) + 1,
      probes: probes ?? undefined,
      checkpoint: parseCheckpoint(checkpoint).execution,
      previousExecution: orNull(execution)
    }
  })
  return { rows, damaged }
}

/** The line of a task before its claim. Between the limit and the last word is the name of the queue, which can be any text. */
const pendingLine =
  /^\d{15} -?\d+ \d+ \d+ \d+ -?\d+ \d+ \d+ \d+ [01] pending \d+ (?:-|\d+)(?:\/\S+)? [^]+ (?:[-f]|\d+)$/

const isClaim = (line: Reply, given: Reply): boolean =>
  typeof line === "string" &&
  pendingLine.test(line) &&
  typeof given === "string" &&
  /^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n/.test(given)

/** An attempt that ended, as `ledger` in `lua/reading.ts` returns it. */
const endedAttempt = (reply: Reply): AttemptRow => {
  const [numbers, execution, verification, usage, owner, error] = array(reply)
  const [number, token, startedAt, endedAt, outcome] = text(numbers).split(" ")
  return {
    number,
    token,
    owner,
    startedAt,
    endedAt,
    outcome,
    error,
    execution: orNull(execution),
    verification: orNull(verification),
    usage: orNull(usage)
  }
}

/** The ledger of a task with this line, as `ledger` in `lua/reading.ts` returns it. */
export const attemptRows = (line: Reply, reply: Reply): ReadonlyArray<AttemptRow> => {
  const [ended, running, saved] = array(reply)
  const rows = array(ended).map(endedAttempt)
  if (running === null) return rows
  const [startedAt, isSaved, owner, isStarted] = array(running)
  const words = parseLine(line)
  const { execution, usage } = parseCheckpoint(isSaved === 1 ? saved : null)
  const row: AttemptRow = {
    number: words[6],
    token: words[7],
    owner,
    startedAt,
    endedAt: null,
    outcome: isStarted === 1 ? "running" : "claimed",
    error: null,
    execution,
    verification: null,
    usage
  }
  return [...rows, row]
}

/** A record as `dump` in `lua/reading.ts` returns it. */
export const recordRow = (reply: Reply): RecordRow => {
  const [described, ledger, leaseUntil, waitsFor] = array(reply)
  const [, line] = array(described)
  const [, , saved] = array(ledger)
  return {
    ...taskRow(described),
    token: parseLine(line)[7],
    leaseUntil,
    checkpoint: parseCheckpoint(saved).execution,
    waitsFor: array(waitsFor),
    attemptRows: attemptRows(line, ledger)
  }
}

const limitWord = ({ concurrencyKey, maxAttempts }: Pick<NewTaskRow, "concurrencyKey" | "maxAttempts">) =>
  (maxAttempts === null ? "-" : String(maxAttempts)) +
  (concurrencyKey === null ? "" : `/${encodeURIComponent(concurrencyKey)}`)

/** What `add` in `lua/adding.ts` gets of a task. */
export const addArguments = (tasks: ReadonlyArray<NewTaskRow>): Array<string> => {
  const words: Array<string> = []
  for (const task of tasks) {
    const { availableAt, dependencies, id, priority, queue } = task
    words.push(id, queue, inputs(task), String(priority), availableAt === null ? "" : String(availableAt))
    words.push(limitWord(task), String(dependencies.length), ...dependencies)
  }
  return words
}

/** What `checkpoint` in `lua/leases.ts` gets of a checkpoint's outputs. */
export const savedExecution = checkpoint

/** What `settle` in `lua/settling.ts` gets of a settlement. */
export const settleArguments = (settlements: ReadonlyArray<SettlementRow>): Array<string> => {
  const words: Array<string> = []
  for (const settlement of settlements) {
    const { attemptUsage, checkpoint, error, execution, feedback, id, token, usage, verification } = settlement
    words.push(
      decision(settlement),
      id,
      String(token),
      `${execution ?? ""}\n${verification ?? ""}\n${attemptUsage ?? ""}`
    )
    if (usage !== null) words.push(usage)
    if (error !== null) words.push(error)
    if (feedback !== null) words.push(feedback)
    if (checkpoint !== null) words.push(checkpoint)
    if (!Budget.isZero(settlement.spent)) words.push(`${settlement.spent.nanoUsd} ${settlement.spent.tokens}`)
  }
  return words
}

const decision = (settlement: SettlementRow): string => {
  const { attemptsReturned, availableInMillis, outcome, status, verified } = settlement
  const { checkpoint, error, feedback, usage } = settlement
  const fields =
    (usage === null ? "" : "u") +
    (error === null ? "" : "e") +
    (feedback === null ? "" : "f") +
    (checkpoint === null ? "" : "c") +
    (Budget.isZero(settlement.spent) ? "" : "s")
  return `${outcome} ${status} ${attemptsReturned} ${availableInMillis ?? "-"} ${verified ? 1 : 0} ${fields}`
}

/** What `decide` in `lua/reviews.ts` gets of a decision. */
export const decisionArguments = (row: DecisionRow): ReadonlyArray<string> => [
  row.id,
  String(row.token),
  row.outcome,
  row.status,
  row.verified ? "1" : "0",
  row.execution ?? "",
  row.verification,
  row.error === null ? "" : `=${row.error}`,
  row.feedback === null ? "" : `=${row.feedback}`
]

/** What `reserve` in `lua/budgets.ts` gets of a row. */
export const spendingArguments = ({ committed, held, id, token, wanted }: SpendingRow): ReadonlyArray<string> => [
  id,
  String(token),
  ...[committed, held, wanted].flatMap(({ nanoUsd, tokens }) => [String(nanoUsd), String(tokens)])
]

export const budgetRow = (reply: Reply): BudgetRow => {
  const [queue, limitNanoUsd, limitTokens, committedNanoUsd, committedTokens, reservedNanoUsd, reservedTokens] =
    array(reply)
  return { queue, limitNanoUsd, limitTokens, committedNanoUsd, committedTokens, reservedNanoUsd, reservedTokens }
}

export const pauseRow = (reply: Reply): PauseRow => {
  const [queue, cause, until = null, probeUntil = null, reason, revision] = array(reply)
  return { queue, cause, until, probeUntil, reason, revision }
}

/** The outcomes of attempts whose output the next attempt gets. */
const hasOutput: ReadonlySet<string> = new Set(["retried", "failed", "completed"])

/** What `restore` in `lua/adding.ts` gets of a record. */
export const restoreArguments = (record: RestoreRow): ReadonlyArray<string> => {
  const { attemptRows, feedback, id, status, usage, waitsFor } = record
  const running = status === "in_progress" ? attemptRows.at(-1) : undefined
  const ended = running === undefined ? attemptRows : attemptRows.slice(0, -1)
  const isSaved = running !== undefined && running.execution !== null
  const rejected = status === "completed" ? -1 : ended.findLastIndex(({ outcome }) => hasOutput.has(outcome))
  const hasEarlier = [feedback, usage, record.checkpoint].some((value) => value !== null)
  const isStarted = ended.length > 0 || record.attempts > (running === undefined ? 0 : 1)
  // The line of a task in progress is as it was before the claim.
  const claimed = running === undefined ? 0 : 1
  const line = [
    record.priority,
    record.createdAt,
    record.requeues,
    0,
    record.availableAt,
    record.attempts - claimed,
    record.token - claimed,
    ended.length,
    record.verified ? 1 : 0,
    running === undefined ? status : "pending",
    record.updatedAt,
    limitWord(record),
    record.queue,
    isStarted ? rejected + 1 : hasEarlier ? "f" : "-"
  ]
  return [
    id,
    inputs(record),
    feedback === null ? "" : `=${feedback}`,
    usage ?? "",
    record.checkpoint === null ? "" : checkpoint(record.checkpoint, isSaved ? running.usage : null),
    line.join(" "),
    running === undefined
      ? ""
      : `${running.outcome === "claimed" ? "-" : running.startedAt} ${record.updatedAt} ${isSaved ? 1 : 0} - ${running.owner}`,
    String(waitsFor.length),
    ...waitsFor,
    String(ended.length),
    ...ended.map(attemptText)
  ]
}

/** A row of the ledger as `endAttempt` in `lua/library.ts` writes it. */
const attemptText = (row: RestoreRow["attemptRows"][number]): string => {
  const { error, execution, owner, usage, verification } = row
  const numbers = [row.number, row.token, row.startedAt, row.endedAt, row.outcome, Buffer.byteLength(owner)].join(" ")
  const result = `${execution ?? ""}\n${verification ?? ""}\n${usage ?? ""}`
  return `${numbers}\n${result}\n${owner}${error === null ? "" : `\n${error}`}`
}
