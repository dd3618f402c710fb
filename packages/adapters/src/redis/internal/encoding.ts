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
import * as UsageSum from "@baton/core/UsageSum"
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

/** The description comes last, because it can have line breaks. Undefined for a text that no script writes. */
const readInputs = (value: Reply) => {
  if (typeof value !== "string") return undefined
  const first = value.indexOf("\n")
  const second = value.indexOf("\n", first + 1)
  const third = value.indexOf("\n", second + 1)
  const fourth = value.indexOf("\n", third + 1)
  if (!(0 <= first && first < second && second < third && third < fourth)) return undefined
  return {
    metadata: orNull(value.slice(0, first)),
    dependsOn: orNull(value.slice(first + 1, second)),
    overrides: orNull(value.slice(second + 1, third)),
    payload: orNull(value.slice(third + 1, fourth)),
    description: value.slice(fourth + 1)
  }
}

const parseInputs = (reply: Reply) => readInputs(reply) ?? unreadable("the inputs of a task")

/** The number of words in a line, and the places of some among them. */
const lineLength = 15
const createdWord = 2
const availableWord = 5
const updatedWord = 11
const limitAt = 12
const queueAt = 13

/** The words of a task's line; see `Seq`, `Priority` and so on in `lua/library.ts`. */
const parseLine = (reply: Reply) => {
  const words = text(reply).split(" ")
  if (words.length < lineLength) return unreadable("the line of a task")
  const created = words[createdWord] ?? ""
  if (words[availableWord] === "=") words[availableWord] = created
  if (words[updatedWord] === "=") words[updatedWord] = created
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
  const readState = stateReader()
  const damaged: Array<string> = []
  const rows: Array<ClaimRow> = []
  array(ids).forEach((id, index) => {
    const line = allLines[index]
    const state = readState(line)
    const inputs = readInputs(allInputs[index])
    if (typeof line !== "string" || state === undefined || inputs === undefined) {
      damaged.push(text(id))
      return
    }
    const [feedback, usage, checkpoint, execution] = earlier.get(index) ?? nothingEarlier
    rows.push({
      seq: line.slice(0, seqLength),
      id,
      queue: state.queue,
      description: inputs.description,
      payload: inputs.payload,
      overrides: inputs.overrides,
      attempts: state.attempts + 1,
      metadata: inputs.metadata,
      priority: state.priority,
      availableAt: state.availableAt,
      dependsOn: inputs.dependsOn,
      concurrencyKey: state.concurrencyKey,
      feedback,
      requeues: state.requeues,
      usage,
      createdAt: state.createdAt,
      updatedAt: times[index] ?? times[0],
      token: state.token + 1,
      probes: probes ?? undefined,
      checkpoint: parseCheckpoint(checkpoint).execution,
      previousExecution: orNull(execution)
    })
  })
  return { rows, damaged }
}

/** What a line says of a task before its claim, apart from its `seq`. Times are numbers, because core recognizes an equal
 * number and does not make another date of it. */
interface PendingState {
  readonly queue: string | undefined
  readonly attempts: number
  readonly priority: number
  readonly availableAt: number
  readonly concurrencyKey: string | null
  readonly requeues: number
  readonly createdAt: number
  readonly token: number
}

/** The number of digits of a `seq`. */
const seqLength = 15

const isSeq = /^\d{15}/

/** A line behind its `seq`. Between the limit and the last word is the name of the queue, which can be any text. */
const pendingState =
  /^ -?\d+ \d+ \d+ \d+ (?:=|-?\d+) \d+ \d+ \d+ [01] pending (?:=|\d+) (?:-|\d+)(?:\/\S+)? [^]+ (?:[-f]|\d+)$/

/** Tasks that were added together have the same state, which is then read once. */
const stateReader = () => {
  let lastText: string | undefined
  let last: PendingState | undefined
  return (line: Reply): PendingState | undefined => {
    if (typeof line !== "string" || !isSeq.test(line)) return undefined
    const stateText = line.slice(seqLength)
    if (stateText === lastText) return last
    if (!pendingState.test(stateText)) return undefined
    const words = parseLine(line)
    lastText = stateText
    last = {
      queue: words[queueAt],
      attempts: number(words[6]),
      priority: number(words[1]),
      availableAt: number(words[availableWord]),
      concurrencyKey: parseKey(words[limitAt]),
      requeues: number(words[3]),
      createdAt: number(words[createdWord]),
      token: number(words[7])
    }
    return last
  }
}

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

/**
 * What `settle` in `lua/settling.ts` gets of settlements. Those with the same decision and token that follow each other share
 * them, and their verification and usage of the attempt where all of them have the same.
 */
export const settleArguments = (settlements: ReadonlyArray<SettlementRow>): Array<string> => {
  const words: Array<string> = []
  for (const group of groupAlike(settlements)) {
    const { attemptUsage, outcome, token, verification } = group[0]
    // The result of a released attempt comes from its checkpoint.
    const isShared =
      outcome !== "released" &&
      group.every((each) => each.verification === verification && each.attemptUsage === attemptUsage)
    words.push(decision(group[0]), String(token), isShared ? afterExecution(group[0]) : "", String(group.length))
    for (const settlement of group) {
      const { checkpoint, error, feedback, id, spent, usage } = settlement
      const execution = settlement.execution ?? ""
      words.push(id, isShared ? execution : execution + afterExecution(settlement))
      if (usage !== null) words.push(usage)
      if (error !== null) words.push(error)
      if (feedback !== null) words.push(feedback)
      if (checkpoint !== null) words.push(checkpoint)
      if (!Budget.isZero(spent)) words.push(`${spent.nanoUsd} ${spent.tokens}`)
    }
  }
  return words
}

/** Those with the same decision and token that follow each other. */
const groupAlike = (settlements: ReadonlyArray<SettlementRow>) => {
  const groups: Array<[SettlementRow, ...Array<SettlementRow>]> = []
  for (const settlement of settlements) {
    const group = groups.at(-1)
    if (group !== undefined && isDecidedAlike(group[0], settlement)) group.push(settlement)
    else groups.push([settlement])
  }
  return groups
}

const afterExecution = ({ attemptUsage, verification }: SettlementRow): string =>
  `\n${verification ?? ""}\n${attemptUsage ?? ""}`

/** Whether two settlements have the same decision and token. */
const isDecidedAlike = (left: SettlementRow, right: SettlementRow): boolean =>
  left.token === right.token &&
  left.outcome === right.outcome &&
  left.status === right.status &&
  left.attemptsReturned === right.attemptsReturned &&
  left.availableInMillis === right.availableInMillis &&
  left.verified === right.verified &&
  (left.usage === null) === (right.usage === null) &&
  (left.error === null) === (right.error === null) &&
  (left.feedback === null) === (right.feedback === null) &&
  (left.checkpoint === null) === (right.checkpoint === null) &&
  Budget.isZero(left.spent) === Budget.isZero(right.spent)

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

/** The sum of the usage of a queue, as `usages.save` in `lua/usage.ts` writes it. */
export const usageSum = (reply: Reply): UsageSum.UsageSum => {
  if (reply === null || reply === undefined) return UsageSum.zero
  return UsageSum.fromColumns(text(reply).split(" ").map(number))
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
