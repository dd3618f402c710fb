import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { type Attempt, AttemptOutcome, LeaseToken } from "@baton/core/Attempt"
import * as Execution from "@baton/core/Execution"
import {
  ConcurrencyKey,
  defaultQueue,
  Metadata,
  Overrides,
  QueueName,
  type Task,
  TaskId,
  TaskStatus
} from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import { Usage } from "@baton/core/Usage"
import { Verification } from "@baton/core/Verification"

/** An attempt, without the fields that are null. */
const SavedAttempt = Schema.Struct({
  number: Schema.Int,
  token: LeaseToken,
  owner: Schema.String,
  startedAt: Schema.DateTimeUtcFromString,
  endedAt: Schema.optional(Schema.DateTimeUtcFromString),
  outcome: AttemptOutcome,
  error: Schema.optional(Schema.String),
  /** The output that completed the task is the task's result, and is not written twice while the task is completed. */
  execution: Schema.optional(Schema.Struct({ ...Execution.Execution.fields, output: Schema.optional(Schema.String) })),
  verification: Schema.optional(Verification),
  usage: Schema.optional(Usage)
})

interface SavedAttempt extends Schema.Schema.Type<typeof SavedAttempt> {}

/** The statuses that the lab does not know: there, these tasks are `failed`, so that it does not execute them. */
const unknownStatuses: ReadonlySet<TaskStatus> = new Set<TaskStatus>(["cancelled", "in_review"])

/** The status of a task as the lab knows it. */
export const labStatus = (status: TaskStatus): TaskStatus => (unknownStatuses.has(status) ? "failed" : status)

/** The object `baton` of a task: its fields that the lab does not know. Defaults are omitted. */
const Extension = Schema.Struct({
  /** The lab has no such status: there, the task is `failed`. */
  cancelled: Schema.optional(Schema.Boolean),
  /** The attempt whose output waits for a person. The lab has no such status: there, the task is `failed`. */
  inReview: Schema.optional(SavedAttempt),
  queue: Schema.optional(QueueName),
  payload: Schema.optional(Schema.Json),
  overrides: Schema.optional(Overrides),
  priority: Schema.optional(Schema.Int),
  concurrencyKey: Schema.optional(ConcurrencyKey),
  /** Default: `createdAt`. */
  availableAt: Schema.optional(Schema.DateTimeUtcFromString),
  dependsOn: Schema.optional(Schema.Array(TaskId)),
  /** The dependencies that have yet to complete. Default: those that have not completed in this file. */
  waitsFor: Schema.optional(Schema.Array(TaskId)),
  feedback: Schema.optional(Schema.String),
  verified: Schema.optional(Schema.Boolean),
  requeues: Schema.optional(Schema.Int),
  usage: Schema.optional(Usage),
  /** Default: when the file was last written. */
  createdAt: Schema.optional(Schema.DateTimeUtcFromString),
  /** Default: `createdAt`. */
  updatedAt: Schema.optional(Schema.DateTimeUtcFromString),
  /** The last lease token. Default: the number of attempts. */
  token: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  checkpoint: Schema.optional(Execution.Execution),
  /** The task is in progress and has not started. Written only without the history, which contains it. */
  claimed: Schema.optional(Schema.Boolean),
  /** Written only without the history, which contains it. */
  previousOutput: Schema.optional(Schema.String),
  history: Schema.optional(Schema.Array(SavedAttempt))
})

interface Extension extends Schema.Schema.Type<typeof Extension> {}

const encodeExtension = Schema.encodeSync(Extension)

/** A task in the file: the fields of the lab, and those of Baton. */
export const SavedTask = Schema.Struct({
  id: TaskId,
  description: Schema.String,
  status: Schema.optional(TaskStatus),
  result: Schema.optional(Schema.NullOr(Schema.String)),
  attempts: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  metadata: Schema.optional(Schema.NullOr(Metadata)),
  /** The lab's limit of attempts. Another value than a number of attempts is kept, and limits nothing. */
  max_attempts: Schema.optional(Schema.Json),
  baton: Schema.optional(Extension)
})

export interface SavedTask extends Schema.Schema.Type<typeof SavedTask> {}

// ---------------------------------------------------------------------------------------------------- writing

/** The object `baton` of a task, as plain data. */
export const extensionOf = (
  record: TaskRecord.TaskRecord,
  options: { readonly history: boolean; readonly hasLabLimit: boolean }
): typeof Extension.Encoded => {
  const { attempts, task, waitsFor } = record
  const overrides = options.hasLabLimit ? Struct.omit(task.overrides, ["maxAttempts"]) : task.overrides
  const isDependent = task.dependsOn.length > 0
  // Its output is nowhere else, so it is written without the history too.
  const inReview = task.status === "in_review" ? attempts.at(-1) : undefined
  const ended = inReview === undefined ? attempts : attempts.slice(0, -1)
  return encodeExtension({
    cancelled: task.status === "cancelled" || undefined,
    inReview: inReview === undefined ? undefined : saveAttempt(inReview, record),
    queue: task.queue === defaultQueue ? undefined : task.queue,
    payload: task.payload,
    overrides: Object.keys(overrides).length > 0 ? overrides : undefined,
    priority: task.priority || undefined,
    availableAt: unlessEqual(task.availableAt, task.createdAt),
    dependsOn: isDependent ? task.dependsOn : undefined,
    concurrencyKey: task.concurrencyKey,
    waitsFor: isDependent ? waitsFor : undefined,
    feedback: task.feedback,
    verified: task.verified || undefined,
    requeues: task.requeues || undefined,
    usage: task.usage,
    createdAt: task.createdAt,
    updatedAt: unlessEqual(task.updatedAt, task.createdAt),
    token: record.token || undefined,
    checkpoint: record.checkpoint,
    claimed: (!options.history && attempts.at(-1)?.outcome === "claimed") || undefined,
    previousOutput: options.history ? undefined : record.previousOutput,
    history: options.history && ended.length > 0 ? ended.map((each) => saveAttempt(each, record)) : undefined
  })
}

const unlessEqual = (time: DateTime.Utc, other: DateTime.Utc) => (DateTime.Equivalence(time, other) ? undefined : time)

const saveAttempt = (attempt: Attempt, { attempts, task }: TaskRecord.TaskRecord): SavedAttempt => {
  const { endedAt, error, execution, number, outcome, owner, startedAt, token, usage, verification } = attempt
  return {
    number,
    token,
    owner,
    startedAt,
    endedAt,
    outcome,
    error,
    execution:
      execution !== undefined && task.status === "completed" && attempt === attempts.at(-1)
        ? { ...execution, output: undefined }
        : execution,
    verification,
    usage
  }
}

// ---------------------------------------------------------------------------------------------------- reading

const noExtension: Extension = {}

/** Whether a value is a limit of attempts. */
export const isLimit = Schema.is(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))

export const statusOf = ({ baton, status = "pending" }: SavedTask): TaskStatus => {
  if (status !== "failed") return status
  return baton?.cancelled === true ? "cancelled" : baton?.inReview !== undefined ? "in_review" : status
}

/**
 * The record of a saved task. People and the lab's own code change the plain fields and do not know the others, so where
 * the two contradict each other, the plain fields are right.
 */
export const toRecord = (
  saved: SavedTask,
  file: { readonly writtenAt: DateTime.Utc; readonly isCompleted: (id: TaskId) => boolean }
): TaskRecord.TaskRecord => {
  const { baton = noExtension, max_attempts: limit } = saved
  const createdAt = baton.createdAt ?? file.writtenAt
  const status = statusOf(saved)
  const task: Task = {
    id: saved.id,
    queue: baton.queue ?? defaultQueue,
    description: saved.description,
    ...(baton.payload === undefined || baton.payload === null ? undefined : { payload: baton.payload }),
    overrides: { ...baton.overrides, ...(isLimit(limit) ? { maxAttempts: limit } : undefined) },
    status,
    ...(status === "completed" ? { result: saved.result ?? "" } : undefined),
    attempts: saved.attempts ?? 0,
    metadata: saved.metadata ?? {},
    priority: baton.priority ?? 0,
    availableAt: baton.availableAt ?? createdAt,
    dependsOn: baton.dependsOn ?? [],
    ...(baton.concurrencyKey === undefined ? undefined : { concurrencyKey: baton.concurrencyKey }),
    ...(baton.feedback === undefined ? undefined : { feedback: baton.feedback }),
    verified: baton.verified ?? false,
    requeues: baton.requeues ?? 0,
    ...(baton.usage === undefined ? undefined : { usage: baton.usage }),
    createdAt,
    updatedAt: baton.updatedAt ?? createdAt
  }
  const attempts = ledgerOf(saved, task)
  const previousOutput = TaskRecord.previousOutput(status, attempts)
  return {
    task,
    token: Math.max(baton.token ?? task.attempts, attempts.at(-1)?.token ?? 0),
    ...(status === "in_progress" ? { leaseUntil: task.updatedAt } : undefined),
    waitsFor: (baton.waitsFor ?? task.dependsOn).filter((id) => task.dependsOn.includes(id) && !file.isCompleted(id)),
    ...(baton.checkpoint === undefined ? undefined : { checkpoint: baton.checkpoint }),
    ...(previousOutput === undefined ? undefined : { previousOutput }),
    attempts
  }
}

/** The outcome of the last attempt of a task with this status, where the status decides it. */
const openOutcomes: { readonly [Status in TaskStatus]?: "running" | "completed" | "in_review" } = {
  in_progress: "running",
  completed: "completed",
  in_review: "in_review"
}

/** The ledger, adapted to the task: an attempt that the task implies and the file lacks is added with its known fields. */
const ledgerOf = ({ baton = noExtension, result }: SavedTask, task: Task): ReadonlyArray<Attempt> => {
  const { history: saved = [], inReview } = baton
  const history = [...saved, ...(inReview === undefined ? [] : [inReview])].map((attempt) =>
    readAttempt(attempt, task.id, result ?? "")
  )
  const last = history.at(-1)
  const token = Math.max(baton.token ?? task.attempts, last?.token ?? 0)
  const underWay = baton.claimed === true || last?.outcome === "claimed" ? "claimed" : "running"
  const open = task.status === "in_progress" ? underWay : openOutcomes[task.status]
  const isCurrent = last !== undefined && last.outcome === open
  const earlier = isCurrent ? history.slice(0, -1) : history
  const ended = earlier.map((attempt, index) => {
    const isRevised = attempt.outcome === "completed" && baton.history?.[index]?.execution?.output !== undefined
    return isRevised ? attempt : close(attempt, task)
  })
  if (ended.length === 0 && baton.previousOutput !== undefined && open !== "completed") {
    const execution = Execution.make({ output: baton.previousOutput })
    ended.push({ ...unknownAttempt(task, open === undefined ? token : token - 1), outcome: "retried", execution })
  }
  if (open === undefined) return ended
  const current: Attempt = {
    ...(isCurrent ? last : unknownAttempt(task, token)),
    outcome: open,
    number: task.attempts,
    token: leaseToken(Math.max(token, (ended.at(-1)?.token ?? 0) + 1))
  }
  if (open === "in_review") return [...ended, current]
  return [
    ...ended,
    open === "completed"
      ? { ...current, execution: completingExecution(current, task) }
      : Struct.omit(current, ["endedAt"])
  ]
}

const readAttempt = ({ execution, ...saved }: SavedAttempt, taskId: TaskId, result: string): Attempt => ({
  taskId,
  number: saved.number,
  token: saved.token,
  owner: saved.owner,
  startedAt: saved.startedAt,
  ...(saved.endedAt === undefined ? undefined : { endedAt: saved.endedAt }),
  outcome: saved.outcome,
  ...(saved.error === undefined ? undefined : { error: saved.error }),
  ...(execution === undefined ? undefined : { execution: { ...execution, output: execution.output ?? result } }),
  ...(saved.verification === undefined ? undefined : { verification: saved.verification }),
  ...(saved.usage === undefined ? undefined : { usage: saved.usage })
})

/** The output that completed a task is the task's result. */
const completingExecution = ({ execution }: Attempt, { result }: Task): Execution.Execution => ({
  ...(execution ?? Execution.make({ output: "" })),
  output: result ?? ""
})

/** An attempt that has ended, whatever its outcome in the file. */
const close = (attempt: Attempt, { updatedAt }: Task): Attempt => {
  const error = "The task was changed in its file."
  if (attempt.outcome === "completed" || attempt.outcome === "in_review")
    return { ...attempt, outcome: "retried", error }
  if (attempt.outcome === "running") return { ...attempt, outcome: "lease_expired", error, endedAt: updatedAt }
  if (attempt.outcome === "claimed") return { ...attempt, outcome: "released", error, endedAt: updatedAt }
  return attempt
}

const leaseToken = Brand.nominal<LeaseToken>()

/** An attempt that the file does not describe. */
const unknownAttempt = (task: Task, token: number): Attempt => ({
  taskId: task.id,
  number: task.attempts,
  token: leaseToken(Math.max(1, token)),
  owner: "unknown",
  startedAt: task.updatedAt,
  endedAt: task.updatedAt,
  outcome: "running"
})
