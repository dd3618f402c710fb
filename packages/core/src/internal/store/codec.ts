import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import { type Attempt, AttemptOutcome, type LeaseToken } from "../../Attempt.ts"
import type { Budget } from "../../Budget.ts"
import { Execution } from "../../Execution.ts"
import { PauseCause, type QueuePause } from "../../QueuePause.ts"
import {
  defaultQueue,
  Metadata,
  type NewTask,
  Overrides,
  QueueName,
  type Task,
  TaskId,
  TaskStatus
} from "../../Task.ts"
import * as TaskRecord from "../../TaskRecord.ts"
import type {
  Checkpoint,
  Claim,
  Control,
  Counts,
  Lease,
  PauseOptions,
  QueueCounts,
  Revision,
  SweptTask,
  Worker
} from "../../TaskStore.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import { Usage } from "../../Usage.ts"
import * as UsageSum from "../../UsageSum.ts"
import { Verification } from "../../Verification.ts"
import * as Text from "./text.ts"

/** The last day that a date can name, in epoch milliseconds. */
const endOfTime = 8.64e15

/** The first day that every database can hold: 4713 BC. */
const startOfTime = -210_866_803_200_000

/** A duration in milliseconds, rounded up so that nothing is due too early. */
export const toMillis = (duration: Duration.Duration): number =>
  Math.min(Math.ceil(Duration.toMillis(duration)), endOfTime)

const toEpochMillis = (time: DateTime.Utc): number =>
  Math.min(Math.max(Math.ceil(time.epochMilliseconds), startOfTime), endOfTime)

/**
 * The encoded form of every domain type that is kept as JSON is the value itself, so this is the codec's encoding at a
 * tenth of its price (0.1 µs instead of 1.4 µs).
 */
const toJson = (value: Execution | Verification | Usage | Metadata | Overrides | ReadonlyArray<string>): string =>
  JSON.stringify(value)

const isEmpty = (record: Metadata | Overrides): boolean => {
  for (const _ in record) return false
  return true
}

/** Most executions have no usage and no metadata: writing these by hand takes a third of the time. */
const executionToJson = (value: Execution): string =>
  value.usage === undefined && Number.isFinite(value.confidence) && isEmpty(value.metadata)
    ? `{"output":${JSON.stringify(value.output)},"confidence":${value.confidence},"metadata":{}}`
    : toJson(value)

export const execution = (value: Execution | undefined): string | null =>
  value === undefined ? null : executionToJson(value)

const toJsonOrNull = (value: Execution | Verification | Usage | undefined): string | null =>
  value === undefined ? null : toJson(value)

/** A verifier without I/O often returns the same verdict object. */
const verdictToJson = () => {
  let last: Verification | undefined
  let json = ""
  return (value: Verification | undefined): string | null => {
    if (value === undefined) return null
    if (value !== last) {
      last = value
      json = toJson(value)
    }
    return json
  }
}

export const verification = verdictToJson()

const toTextOrNull = (text: string | undefined): string | null => (text === undefined ? null : Text.encode(text))

const recordToJson = (value: Metadata | Overrides | undefined): string | null =>
  value === undefined || isEmpty(value) ? null : toJson(value)

/** Sorted, so that the same overrides are the same text. */
const overridesToJson = (value: Overrides | undefined): string | null =>
  value === undefined || isEmpty(value)
    ? null
    : toJson(Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1))))

/** A null payload counts as none. */
const payloadToJson = (value: Schema.Json | undefined): string | null =>
  value === undefined || value === null ? null : JSON.stringify(value)

const idsToJson = (ids: ReadonlyArray<TaskId> | undefined): string | null =>
  ids === undefined || ids.length === 0 ? null : toJson(ids)

const noIds: ReadonlyArray<string> = []

const distinct = (ids: ReadonlyArray<TaskId> | undefined): ReadonlyArray<string> =>
  ids === undefined || ids.length === 0 ? noIds : Array.from(new Set(ids), Text.encode)

export const newTaskRow = (task: NewTask): Driver.NewTaskRow => ({
  id: Text.encode(task.id),
  queue: task.queue ?? defaultQueue,
  description: Text.encode(task.description),
  payload: payloadToJson(task.payload),
  overrides: overridesToJson(task.overrides),
  maxAttempts: task.overrides?.maxAttempts ?? null,
  metadata: recordToJson(task.metadata),
  priority: task.priority ?? 0,
  availableAt: task.availableAt === undefined ? null : toEpochMillis(task.availableAt),
  dependsOn: idsToJson(task.dependsOn),
  dependencies: distinct(task.dependsOn),
  concurrencyKey: task.concurrencyKey ?? null
})

export const revisionRow = ({ feedback, taskId, token, work }: Revision): Driver.RevisionRow => ({
  id: Text.encode(taskId),
  token: token ?? null,
  feedback: toTextOrNull(feedback),
  work:
    work === undefined
      ? null
      : {
          description: Text.encode(work.description),
          payload: payloadToJson(work.payload),
          overrides: overridesToJson(work.overrides),
          maxAttempts: work.overrides?.maxAttempts ?? null,
          metadata: recordToJson(work.metadata)
        }
})

export const checkpointRow = ({ execution, taskId, token, usage }: Checkpoint): Driver.CheckpointRow => ({
  id: Text.encode(taskId),
  token,
  execution: executionToJson(execution),
  executionUsage: toJsonOrNull(execution.usage),
  usage: toJsonOrNull(usage)
})

export { toJsonOrNull as document, toTextOrNull as textOrNull }

export const restoreRow = ({
  attempts,
  checkpoint,
  task,
  token,
  waitsFor
}: TaskRecord.TaskRecord): Driver.RestoreRow => ({
  id: Text.encode(task.id),
  queue: task.queue,
  description: Text.encode(task.description),
  payload: payloadToJson(task.payload),
  overrides: overridesToJson(task.overrides),
  maxAttempts: task.overrides.maxAttempts ?? null,
  status: task.status,
  attempts: task.attempts,
  metadata: recordToJson(task.metadata),
  priority: task.priority,
  availableAt: toEpochMillis(task.availableAt),
  dependsOn: idsToJson(task.dependsOn),
  concurrencyKey: task.concurrencyKey ?? null,
  feedback: toTextOrNull(task.feedback),
  verified: task.verified,
  requeues: task.requeues,
  usage: toJsonOrNull(task.usage),
  createdAt: toEpochMillis(task.createdAt),
  updatedAt: toEpochMillis(task.updatedAt),
  token,
  checkpoint: toJsonOrNull(checkpoint),
  waitsFor: distinct(waitsFor),
  attemptRows: attempts.map((attempt) => ({
    number: attempt.number,
    token: attempt.token,
    owner: Text.encode(attempt.owner),
    startedAt: toEpochMillis(attempt.startedAt),
    endedAt: attempt.endedAt === undefined ? null : toEpochMillis(attempt.endedAt),
    outcome: attempt.outcome,
    error: toTextOrNull(attempt.error),
    execution: toJsonOrNull(attempt.execution),
    verification: toJsonOrNull(attempt.verification),
    usage: toJsonOrNull(attempt.usage)
  }))
})

/** A value in a row that no version of Baton writes. */
class UnreadableColumn extends Schema.TaggedError<UnreadableColumn>()("UnreadableColumn", { message: Schema.String }) {}

const unreadable = (column: string, expected: string): never => {
  // Caught by `decode`, the only caller of the readers below: an effect per column would cost more than the column.
  throw new UnreadableColumn({ message: `the column "${column}" is not ${expected}` })
}

/** Runs a reader; a value that it cannot read fails as `Unusable`. */
export const decode = <A>(place: string, read: () => A): Result.Result<A, TaskStoreError> =>
  Result.try({
    try: read,
    catch: (cause) => {
      if (!(cause instanceof UnreadableColumn) && !Schema.isSchemaError(cause)) throw cause
      return new TaskStoreError({
        reason: "Unusable",
        message: `${place} holds a value that Baton cannot read (${cause.message.split("\n")[0]}): restore a backup, or delete that task.`,
        cause
      })
    }
  })

export const number = (column: string, value: Driver.Column): number => {
  if (typeof value === "number") return value
  const converted = typeof value === "bigint" || (typeof value === "string" && value !== "") ? Number(value) : NaN
  return Number.isNaN(converted) ? unreadable(column, "a number") : converted
}

export const boolean = (column: string, value: Driver.Column): boolean => {
  if (typeof value === "boolean") return value
  if (value === 1 || value === 1n || value === "1") return true
  return value === 0 || value === 0n || value === "0" ? false : unreadable(column, "a truth value")
}

export const text = (column: string, value: Driver.Column): string =>
  typeof value === "string" ? Text.decode(value) : unreadable(column, "text")

export const time = (column: string, value: Driver.Column): DateTime.Utc =>
  DateTime.makeUnsafe(value instanceof Date ? value.getTime() : number(column, value))

const optionalTime = (column: string, value: Driver.Column): DateTime.Utc | undefined =>
  value === null ? undefined : time(column, value)

const timeOrNull = (column: string, value: Driver.Column): DateTime.Utc | null =>
  value === null ? null : time(column, value)

/** Tasks that were added together share their times: making one per task is a fifth of a claim. */
const recentTimes = () => {
  let last = DateTime.makeUnsafe(0)
  return (column: string, value: Driver.Column): DateTime.Utc => {
    const millis = value instanceof Date ? value.getTime() : value
    if (last.epochMilliseconds !== millis) last = time(column, value)
    return last
  }
}

const fromJson = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(Schema.fromJsonString(schema))
  return (value: Driver.Column): S["Type"] | null => (value === null ? null : decode(value))
}

const decodeExecution = Schema.decodeUnknownSync(Schema.fromJsonString(Execution))
const readExecution = (value: Driver.Column): Execution | undefined =>
  value === null ? undefined : decodeExecution(value)
const verdict = Schema.decodeUnknownSync(Schema.fromJsonString(Verification))
const decodeUsage = Schema.decodeUnknownSync(Schema.fromJsonString(Usage))
const usage = (value: Driver.Column): Usage => decodeUsage(value)
const metadataFromJson = fromJson(Metadata)
const overridesFromJson = fromJson(Overrides)
const payload = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Json))
const taskIdsFromJson = fromJson(Schema.Array(TaskId))

const noMetadata: Metadata = {}
const noOverrides: Overrides = {}
const noDependencies: ReadonlyArray<TaskId> = []

const metadata = (value: Driver.Column): Metadata => metadataFromJson(value) ?? noMetadata
const overrides = (value: Driver.Column): Overrides => overridesFromJson(value) ?? noOverrides
const dependsOn = (value: Driver.Column): ReadonlyArray<TaskId> => taskIdsFromJson(value) ?? noDependencies

const isStatus = Schema.is(TaskStatus)
const isOutcome = Schema.is(AttemptOutcome)

export const status = (value: Driver.Column): TaskStatus =>
  isStatus(value) ? value : unreadable("status", "the status of a task")

export const optionalStatus = (value: Driver.Column): TaskStatus | undefined =>
  value === null ? undefined : status(value)

const outcome = (value: Driver.Column): AttemptOutcome =>
  isOutcome(value) ? value : unreadable("outcome", "the outcome of an attempt")

// Ids and tokens were checked on their way in.
const brandTaskId: (id: string) => TaskId = Brand.nominal<TaskId>()
const brandLeaseToken: (token: number) => LeaseToken = Brand.nominal<LeaseToken>()

export const taskId = (value: Driver.Column): TaskId => brandTaskId(text("id", value))
const leaseToken = (value: Driver.Column): LeaseToken => brandLeaseToken(number("token", value))

export const seq = ({ seq }: Pick<Driver.TaskRow, "seq">): number => number("seq", seq)

/** An empty output is none. */
const output = (value: Driver.Column): string | undefined => readExecution(value)?.output || undefined

const taskTime = recentTimes()

/** The result of a completed task. */
const result = ({ execution }: Pick<Driver.TaskRow, "execution">): string =>
  readExecution(execution)?.output ?? unreadable("execution", "an execution")

/**
 * The columns that a task may lack and a claim has too. Assigned and not spread, which takes a multiple of the memory: this is
 * read for every task.
 */
const readOptional = (
  task: Types.Mutable<Task>,
  row: Pick<Driver.ClaimRow, "payload" | "concurrencyKey" | "feedback" | "usage">
): void => {
  if (row.payload !== null) {
    const value = payload(row.payload)
    if (value !== null) task.payload = value
  }
  const { concurrencyKey = null } = row
  if (concurrencyKey !== null) task.concurrencyKey = text("concurrencyKey", concurrencyKey)
  if (row.feedback !== null) task.feedback = text("feedback", row.feedback)
  if (row.usage !== null) task.usage = usage(row.usage)
}

export const task = (row: Driver.TaskRow, hasResult = true): Task => {
  const found = status(row.status)
  const task: Types.Mutable<Task> = {
    id: taskId(row.id),
    queue: text("queue", row.queue),
    description: text("description", row.description),
    overrides: overrides(row.overrides),
    status: found,
    attempts: number("attempts", row.attempts),
    metadata: metadata(row.metadata),
    priority: number("priority", row.priority),
    availableAt: taskTime("availableAt", row.availableAt),
    dependsOn: dependsOn(row.dependsOn),
    verified: boolean("verified", row.verified),
    requeues: number("requeues", row.requeues),
    createdAt: taskTime("createdAt", row.createdAt),
    updatedAt: taskTime("updatedAt", row.updatedAt)
  }
  readOptional(task, row)
  if (hasResult && found === "completed") task.result = result(row)
  if (row.startedAt !== null) task.startedAt = time("startedAt", row.startedAt)
  return task
}

export const claims = (rows: ReadonlyArray<Driver.ClaimRow>): ReadonlyArray<Claim> => {
  const time = recentTimes()
  const updatedAt = recentTimes()
  return rows.map((row) => {
    const task: Types.Mutable<Task> = {
      id: taskId(row.id),
      queue: text("queue", row.queue),
      description: text("description", row.description),
      overrides: overrides(row.overrides),
      status: "in_progress",
      attempts: number("attempts", row.attempts),
      metadata: metadata(row.metadata),
      priority: number("priority", row.priority),
      availableAt: time("availableAt", row.availableAt),
      dependsOn: dependsOn(row.dependsOn),
      verified: false,
      requeues: number("requeues", row.requeues),
      createdAt: time("createdAt", row.createdAt),
      updatedAt: updatedAt("updatedAt", row.updatedAt)
    }
    readOptional(task, row)
    const claim: Types.Mutable<Claim> = { task, token: leaseToken(row.token) }
    if (row.checkpoint !== null) claim.checkpoint = readExecution(row.checkpoint)
    const previousOutput = output(row.previousExecution)
    if (previousOutput !== undefined) claim.previousOutput = previousOutput
    if (row.probes !== undefined) claim.probes = number("probes", row.probes)
    return claim
  })
}

/** The lease of a claim. */
export const lease = ({ id, token }: Pick<Driver.ClaimRow, "id" | "token">): Lease => ({
  taskId: taskId(id),
  token: leaseToken(token)
})

/** A task for a list: one that cannot be read as a whole has a description that says so. */
export const listedTask = (row: Driver.TaskRow, hasResult: boolean): Task =>
  Result.getOrElse(
    decode("", () => task(row, hasResult)),
    ({ message }) => ({
      id: taskId(row.id),
      queue: typeof row.queue === "string" ? row.queue : defaultQueue,
      description: `This task cannot be read. The store${message}`,
      overrides: noOverrides,
      status: isStatus(row.status) ? row.status : "failed",
      attempts: 0,
      metadata: noMetadata,
      priority: 0,
      availableAt: DateTime.makeUnsafe(0),
      dependsOn: noDependencies,
      verified: false,
      requeues: 0,
      createdAt: DateTime.makeUnsafe(0),
      updatedAt: DateTime.makeUnsafe(0)
    })
  )

export const attempt = (taskId: TaskId, row: Driver.AttemptRow): Attempt => ({
  taskId,
  number: number("number", row.number),
  token: leaseToken(row.token),
  owner: text("owner", row.owner),
  startedAt: time("startedAt", row.startedAt),
  ...(row.endedAt === null ? undefined : { endedAt: time("endedAt", row.endedAt) }),
  ...(row.execution === null ? undefined : { execution: readExecution(row.execution) }),
  ...(row.verification === null ? undefined : { verification: verdict(row.verification) }),
  outcome: outcome(row.outcome),
  ...(row.error === null ? undefined : { error: text("error", row.error) }),
  ...(row.usage === null ? undefined : { usage: usage(row.usage) })
})

export const record = (row: Driver.RecordRow): TaskRecord.TaskRecord => {
  const found = task(row)
  const attempts = row.attemptRows.map((each) => attempt(found.id, each))
  const waitsFor = new Set(row.waitsFor.map(taskId))
  const running = found.status === "in_progress" ? attempts.at(-1) : undefined
  // An output that the attempt under way has checkpointed comes first.
  const checkpoint = running?.execution ?? readExecution(row.checkpoint)
  const previousOutput = TaskRecord.previousOutput(found.status, attempts)
  return {
    task: found,
    token: number("token", row.token),
    ...(running === undefined ? undefined : { leaseUntil: time("leaseUntil", row.leaseUntil) }),
    waitsFor: Array.from(new Set(found.dependsOn)).filter((id) => waitsFor.has(id)),
    ...(checkpoint === undefined ? undefined : { checkpoint }),
    ...(previousOutput === undefined ? undefined : { previousOutput }),
    attempts
  }
}

export const swept = (row: Driver.SweptRow): SweptTask => {
  const found = status(row.status)
  return {
    taskId: taskId(row.id),
    token: leaseToken(row.token),
    status: found === "failed" || found === "pending" ? found : unreadable("status", "pending or failed"),
    owner: text("owner", row.owner),
    attempts: number("attempts", row.attempts),
    started: boolean("started", row.started)
  }
}

export const counts = (row: Driver.CountsRow): QueueCounts => {
  const usage = UsageSum.toUsage(usageSum(row))
  return {
    queue: text("queue", row.queue),
    pending: number("pending", row.pending),
    in_progress: number("in_progress", row.in_progress),
    in_review: number("in_review", row.in_review ?? 0),
    completed: number("completed", row.completed),
    failed: number("failed", row.failed),
    cancelled: number("cancelled", row.cancelled),
    waiting: number("waiting", row.waiting),
    ...(usage === undefined ? undefined : { usage })
  }
}

const usageSum = (row: Driver.CountsRow): UsageSum.UsageSum => ({
  usages: number("usages", row.usages),
  inputTokens: number("inputTokens", row.inputTokens),
  outputTokens: number("outputTokens", row.outputTokens),
  cacheReadTokens: number("cacheReadTokens", row.cacheReadTokens),
  cacheWriteTokens: number("cacheWriteTokens", row.cacheWriteTokens),
  maxTokens: number("maxTokens", row.maxTokens),
  minNanoUsd: number("minNanoUsd", row.minNanoUsd),
  maxNanoUsd: number("maxNanoUsd", row.maxNanoUsd),
  unknownCosts: number("unknownCosts", row.unknownCosts),
  unboundedCosts: number("unboundedCosts", row.unboundedCosts)
})

export const worker = (row: Driver.WorkerRow): Worker => {
  const since = timeOrNull("startedAt", row.startedAt)
  return {
    queue: QueueName.make(text("queue", row.queue)),
    name: text("owner", row.owner),
    running: number("running", row.running),
    claimed: number("claimed", row.claimed),
    ...(since === null ? undefined : { since }),
    isLost: number("leaseEndsInMillis", row.leaseEndsInMillis) <= 0
  }
}

/** The counts of several queues together. */
export const total = (queues: ReadonlyArray<QueueCounts>): Counts => {
  const counts = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
  for (const queue of queues) {
    counts.pending += queue.pending
    counts.in_progress += queue.in_progress
    counts.in_review += queue.in_review
    counts.completed += queue.completed
    counts.failed += queue.failed
    counts.cancelled += queue.cancelled
    counts.waiting += queue.waiting
  }
  return counts
}

export const budget = (row: Driver.BudgetRow): Budget => ({
  queue: text("queue", row.queue),
  limit: {
    ...(row.limitNanoUsd === null ? undefined : { nanoUsd: number("limitNanoUsd", row.limitNanoUsd) }),
    ...(row.limitTokens === null ? undefined : { tokens: number("limitTokens", row.limitTokens) })
  },
  committed: {
    nanoUsd: number("committedNanoUsd", row.committedNanoUsd),
    tokens: number("committedTokens", row.committedTokens)
  },
  reserved: {
    nanoUsd: number("reservedNanoUsd", row.reservedNanoUsd),
    tokens: number("reservedTokens", row.reservedTokens)
  }
})

const isPauseCause = Schema.is(PauseCause)

export const pause = (row: Driver.PauseRow): QueuePause => ({
  queue: text("queue", row.queue),
  cause: isPauseCause(row.cause) ? row.cause : unreadable("cause", "the cause of a pause"),
  until: optionalTime("until", row.until),
  probeUntil: optionalTime("probeUntil", row.probeUntil),
  reason: text("reason", row.reason),
  revision: number("revision", row.revision)
})

export const pauseChange = (queue: string, { cause, reason, until }: PauseOptions): Driver.PauseChange => ({
  queue,
  cause,
  until: until === undefined ? null : toEpochMillis(until),
  reason: Text.encode(reason)
})

export const control = (row: Driver.ControlRow): Control => ({
  revision: number("revision", row.revision),
  paused: boolean("paused", row.paused),
  stops: number("stops", row.stops)
})
