import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { type Attempt, AttemptOutcome, type LeaseToken } from "@baton/core/Attempt"
import { Execution } from "@baton/core/Execution"
import { Metadata, type Task, type TaskId, TaskStatus } from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import type { Claim, Control, Counts } from "@baton/core/TaskStore"
import { Usage } from "@baton/core/Usage"
import { Verification } from "@baton/core/Verification"
import * as Text from "./text.ts"

/** A row as the driver returns it. */
export interface Row {
  readonly [column: string]: unknown
}

/** A value in a table that no version of Baton writes. */
export class UnreadableRow extends Schema.TaggedError<UnreadableRow>()("UnreadableRow", { message: Schema.String }) {}

const unreadable = (expected: string): never => {
  // Caught where rows are mapped, see `database.ts`: an effect for each column would cost more than the rest.
  throw new UnreadableRow({ message: `a column holds no ${expected}` })
}

/**
 * What holds here for every domain type that is kept as JSON: its encoded form is the value itself. That makes this the
 * codec's encoding at a tenth of its price.
 */
export const toJson = (value: Execution | Verification | Usage | Metadata): string => JSON.stringify(value)

export const toJsonOrNull = (value: Execution | Verification | Usage | null): string | null =>
  value === null ? null : toJson(value)

/** Most tasks have none. */
export const toMetadata = (value: Metadata | undefined): string | null =>
  value === undefined || Object.keys(value).length === 0 ? null : toJson(value)

// The server has checked types already; a Schema for the scalars of a row would cost half of what reading it costs.
export const number = (value: unknown): number => (typeof value === "number" ? value : unreadable("number"))

export const boolean = (value: unknown): boolean => (typeof value === "boolean" ? value : unreadable("truth value"))

export const text = (value: unknown): string => (typeof value === "string" ? Text.decode(value) : unreadable("text"))

export const time = (value: unknown): DateTime.Utc =>
  value instanceof Date ? DateTime.makeUnsafe(value) : unreadable("time")

export const orNull =
  <A>(read: (value: unknown) => A) =>
  (value: unknown): A | null =>
    value === null ? null : read(value)

export const list =
  <A>(read: (value: unknown) => A) =>
  (value: unknown): ReadonlyArray<A> =>
    Array.isArray(value) ? value.map(read) : unreadable("list")

const fromJson = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(Schema.fromJsonString(schema))
  return (value: unknown): S["Type"] => decode(value)
}

const execution = fromJson(Execution)
const metadata = fromJson(Metadata)
const textOrNull = orNull(text)
export const numberOrNull = orNull(number)
const timeOrNull = orNull(time)
const executionOrNull = orNull(execution)
const verificationOrNull = orNull(fromJson(Verification))
const usageOrNull = orNull(fromJson(Usage))
export const status: (value: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)
export const statusOrNull = orNull(status)
const outcome: (value: unknown) => AttemptOutcome = Schema.decodeUnknownSync(AttemptOutcome)
export const outcomeOrNull = orNull(outcome)

// The tables are Baton's own, and ids were checked on their way in.
const brandTaskId: (id: string) => TaskId = Brand.nominal<TaskId>()
const brandLeaseToken: (token: number) => LeaseToken = Brand.nominal<LeaseToken>()

export const taskId = (value: unknown): TaskId => brandTaskId(text(value))
export const taskIds = list(taskId)
export const leaseToken = (value: unknown): LeaseToken => brandLeaseToken(number(value))
export const numbers = list(number)

const noMetadata: Metadata = {}
const noDependencies: ReadonlyArray<TaskId> = []

export const task = (row: Row): Task => {
  const found = status(row.status)
  return {
    id: taskId(row.id),
    description: text(row.description),
    status: found,
    result: found === "completed" ? execution(row.execution).output : null,
    attempts: number(row.attempts),
    metadata: row.metadata === null ? noMetadata : metadata(row.metadata),
    priority: number(row.priority),
    availableAt: time(row.available_at),
    dependsOn: row.depends_on === null ? noDependencies : taskIds(row.depends_on),
    feedback: textOrNull(row.feedback),
    verified: boolean(row.verified),
    requeues: number(row.requeues),
    usage: usageOrNull(row.usage),
    createdAt: time(row.created_at),
    updatedAt: time(row.updated_at)
  }
}

export const claim = (row: Row): Claim => ({
  task: task(row),
  token: leaseToken(row.token),
  checkpoint: executionOrNull(row.checkpoint),
  // An empty output is none.
  previousOutput: executionOrNull(row.previous_execution)?.output || null
})

export const attempt = (taskId: TaskId, row: Row): Attempt => ({
  taskId,
  number: number(row.number),
  token: leaseToken(row.token),
  owner: text(row.owner),
  startedAt: time(row.started_at),
  endedAt: timeOrNull(row.ended_at),
  execution: executionOrNull(row.execution),
  verification: verificationOrNull(row.verification),
  outcome: outcome(row.outcome),
  error: textOrNull(row.error),
  usage: usageOrNull(row.usage)
})

/** The attempt that is in the task's own row, if there is one. */
const ownAttempt = (task: Task, row: Row): ReadonlyArray<Attempt> =>
  task.status === "in_progress" || task.status === "completed"
    ? [
        {
          taskId: task.id,
          number: task.attempts,
          token: leaseToken(row.token),
          owner: text(row.owner),
          startedAt: time(row.started_at),
          endedAt: task.status === "completed" ? task.updatedAt : null,
          execution: executionOrNull(row.execution),
          verification: verificationOrNull(row.verification),
          outcome: task.status === "completed" ? "completed" : "running",
          error: null,
          usage: usageOrNull(row.attempt_usage)
        }
      ]
    : []

/** Everything about a task, from its row, the rows of its ledger, and the tasks that it waits for. */
export const record = (row: Row, ledger: ReadonlyArray<Row>, waitsFor: ReadonlySet<TaskId>): TaskRecord.TaskRecord => {
  const found = task(row)
  const attempts = [...ledger.map((each) => attempt(found.id, each)), ...ownAttempt(found, row)]
  return {
    task: found,
    token: number(row.token),
    leaseUntil: found.status === "in_progress" ? time(row.lease_until) : null,
    waitsFor: Array.from(new Set(found.dependsOn)).filter((id) => waitsFor.has(id)),
    // An output that the attempt under way made durable is not in the column yet.
    checkpoint:
      (found.status === "in_progress" ? executionOrNull(row.execution) : null) ?? executionOrNull(row.checkpoint),
    previousOutput: TaskRecord.previousOutput(found.status, attempts),
    attempts
  }
}

export const counts = (row: Row): Counts => ({
  pending: number(row.pending),
  in_progress: number(row.in_progress),
  completed: number(row.completed),
  failed: number(row.failed),
  cancelled: number(row.cancelled),
  waiting: number(row.waiting)
})

export const control = (row: Row): Control => ({
  revision: number(row.revision),
  paused: boolean(row.paused),
  stops: number(row.stops)
})
