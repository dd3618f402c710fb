import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { type Attempt, AttemptOutcome, LeaseToken } from "@baton/core/Attempt"
import { Execution } from "@baton/core/Execution"
import { type Task, TaskId } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import { Usage } from "@baton/core/Usage"
import { Verification } from "@baton/core/Verification"

/** An attempt, without what is null. */
const SavedAttempt = Schema.Struct({
  number: Schema.Int,
  token: LeaseToken,
  owner: Schema.String,
  startedAt: Schema.DateTimeUtcFromString,
  endedAt: Schema.optional(Schema.DateTimeUtcFromString),
  outcome: AttemptOutcome,
  error: Schema.optional(Schema.String),
  /** The output that completed the task is its result, and not written twice. */
  execution: Schema.optional(Schema.Struct({ ...Execution.fields, output: Schema.optional(Schema.String) })),
  verification: Schema.optional(Verification),
  usage: Schema.optional(Usage)
})

interface SavedAttempt extends Schema.Schema.Type<typeof SavedAttempt> {}

/**
 * What Baton knows of a task beyond the fields of the lab: the object under `baton`. What has its default is left out.
 */
export const Extension = Schema.Struct({
  /** The lab has no status for it: there, such a task is `failed`. */
  cancelled: Schema.optional(Schema.Boolean),
  priority: Schema.optional(Schema.Int),
  /** Default: `createdAt`. */
  availableAt: Schema.optional(Schema.DateTimeUtcFromString),
  dependsOn: Schema.optional(Schema.Array(TaskId)),
  /** Those of `dependsOn` that have yet to complete. Default: those that have not completed in this file. */
  waitsFor: Schema.optional(Schema.Array(TaskId)),
  feedback: Schema.optional(Schema.String),
  verified: Schema.optional(Schema.Boolean),
  requeues: Schema.optional(Schema.Int),
  usage: Schema.optional(Usage),
  /** Default: when the file was last written. */
  createdAt: Schema.optional(Schema.DateTimeUtcFromString),
  /** Default: `createdAt`. */
  updatedAt: Schema.optional(Schema.DateTimeUtcFromString),
  /** The last lease token. Default: the count of attempts. */
  token: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  checkpoint: Schema.optional(Execution),
  /** Only where the history, which tells it as well, is not written. */
  previousOutput: Schema.optional(Schema.String),
  history: Schema.optional(Schema.Array(SavedAttempt))
})

export interface Extension extends Schema.Schema.Type<typeof Extension> {}

const encode = Schema.encodeSync(Extension)

/** The object for a task, as plain data; its undefined fields are not there once it is JSON. */
export const write = (record: TaskRecord, options: { readonly history: boolean }): typeof Extension.Encoded => {
  const { attempts, task, waitsFor } = record
  const isDependent = task.dependsOn.length > 0
  return encode({
    cancelled: task.status === "cancelled" || undefined,
    priority: task.priority || undefined,
    availableAt: unless(task.availableAt, task.createdAt),
    dependsOn: isDependent ? task.dependsOn : undefined,
    waitsFor: isDependent ? waitsFor : undefined,
    feedback: task.feedback ?? undefined,
    verified: task.verified || undefined,
    requeues: task.requeues || undefined,
    usage: task.usage ?? undefined,
    createdAt: task.createdAt,
    updatedAt: unless(task.updatedAt, task.createdAt),
    token: record.token || undefined,
    checkpoint: record.checkpoint ?? undefined,
    previousOutput: options.history ? undefined : (record.previousOutput ?? undefined),
    history: options.history && attempts.length > 0 ? attempts.map(saveAttempt) : undefined
  })
}

const unless = (time: DateTime.Utc, other: DateTime.Utc) => (DateTime.Equivalence(time, other) ? undefined : time)

const saveAttempt = (attempt: Attempt): SavedAttempt => {
  const { endedAt, error, execution, number, outcome, owner, startedAt, token, usage, verification } = attempt
  return {
    number,
    token,
    owner,
    startedAt,
    endedAt: endedAt ?? undefined,
    outcome,
    error: error ?? undefined,
    execution:
      execution === null || outcome !== "completed" ? (execution ?? undefined) : { ...execution, output: undefined },
    verification: verification ?? undefined,
    usage: usage ?? undefined
  }
}

/** The attempts that were written for a task, with nothing left out. */
export const readHistory = (
  history: ReadonlyArray<SavedAttempt>,
  task: Pick<Task, "id" | "result">
): ReadonlyArray<Attempt> =>
  history.map(({ execution, ...saved }) => ({
    taskId: task.id,
    number: saved.number,
    token: saved.token,
    owner: saved.owner,
    startedAt: saved.startedAt,
    endedAt: saved.endedAt ?? null,
    outcome: saved.outcome,
    error: saved.error ?? null,
    execution: execution === undefined ? null : { ...execution, output: execution.output ?? task.result ?? "" },
    verification: saved.verification ?? null,
    usage: saved.usage ?? null
  }))
