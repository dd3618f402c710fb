import type * as DateTime from "effect/DateTime"
import * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"
import type { Attempt, LeaseToken } from "@baton/core/Attempt"
import * as Execution from "@baton/core/Execution"
import { Metadata, type Task, TaskId, TaskStatus } from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import { Extension, readHistory } from "./extension.ts"

/** A task as it is in the file: the fields of the lab, and what Baton adds to them. */
export const SavedTask = Schema.Struct({
  id: TaskId,
  description: Schema.String,
  status: Schema.optional(TaskStatus),
  result: Schema.optional(Schema.NullOr(Schema.String)),
  attempts: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  metadata: Schema.optional(Schema.NullOr(Metadata)),
  baton: Schema.optional(Extension)
})

export interface SavedTask extends Schema.Schema.Type<typeof SavedTask> {}

const noExtension: Extension = {}

export const statusOf = ({ baton, status = "pending" }: SavedTask): TaskStatus =>
  status === "failed" && baton?.cancelled === true ? "cancelled" : status

/**
 * The record that a saved task stands for. People and the lab's own code change the plain fields and know nothing of the
 * rest, so the plain fields are right wherever the two disagree.
 */
export const toRecord = (
  saved: SavedTask,
  file: { readonly writtenAt: DateTime.Utc; readonly isCompleted: (id: TaskId) => boolean }
): TaskRecord.TaskRecord => {
  const { baton = noExtension } = saved
  const createdAt = baton.createdAt ?? file.writtenAt
  const status = statusOf(saved)
  const task: Task = {
    id: saved.id,
    description: saved.description,
    status,
    result: status === "completed" ? (saved.result ?? "") : null,
    attempts: saved.attempts ?? 0,
    metadata: saved.metadata ?? {},
    priority: baton.priority ?? 0,
    availableAt: baton.availableAt ?? createdAt,
    dependsOn: baton.dependsOn ?? [],
    feedback: baton.feedback ?? null,
    verified: baton.verified ?? false,
    requeues: baton.requeues ?? 0,
    usage: baton.usage ?? null,
    createdAt,
    updatedAt: baton.updatedAt ?? createdAt
  }
  const attempts = ledger(saved, task)
  return {
    task,
    token: Math.max(baton.token ?? task.attempts, attempts.at(-1)?.token ?? 0),
    leaseUntil: status === "in_progress" ? task.updatedAt : null,
    waitsFor: (baton.waitsFor ?? task.dependsOn).filter((id) => task.dependsOn.includes(id) && !file.isCompleted(id)),
    checkpoint: baton.checkpoint ?? null,
    previousOutput: TaskRecord.previousOutput(status, attempts),
    attempts
  }
}

/** The ledger, made to agree with the task: what nobody wrote down is told as far as it is known. */
const ledger = ({ baton = noExtension, result }: SavedTask, task: Task): ReadonlyArray<Attempt> => {
  const history = readHistory(baton.history ?? [], { id: task.id, result: result ?? null })
  const last = history.at(-1)
  const token = Math.max(baton.token ?? task.attempts, last?.token ?? 0)
  const open = task.status === "in_progress" ? "running" : task.status === "completed" ? "completed" : undefined
  const isCurrent = last !== undefined && last.outcome === open
  const ended = (isCurrent ? history.slice(0, -1) : history).map((attempt) => close(attempt, task))
  if (ended.length === 0 && baton.previousOutput !== undefined && open !== "completed") {
    const execution = Execution.make({ output: baton.previousOutput })
    ended.push({ ...unknown(task, open === undefined ? token : token - 1), outcome: "retried", execution })
  }
  if (open === undefined) return ended
  const current: Attempt = {
    ...(isCurrent ? last : unknown(task, token)),
    outcome: open,
    number: task.attempts,
    token: leaseToken(Math.max(token, (ended.at(-1)?.token ?? 0) + 1))
  }
  return [
    ...ended,
    open === "running" ? { ...current, endedAt: null } : { ...current, execution: outcome(current, task) }
  ]
}

/** The execution that completed a task has the task's result. */
const outcome = ({ execution }: Attempt, { result }: Task): Execution.Execution => ({
  ...(execution ?? Execution.make({ output: "" })),
  output: result ?? ""
})

/** An attempt that is over, whatever its outcome says. */
const close = (attempt: Attempt, { updatedAt }: Task): Attempt => {
  const error = "The task was changed in its file."
  if (attempt.outcome === "completed") return { ...attempt, outcome: "retried", error }
  if (attempt.outcome === "running") return { ...attempt, outcome: "lease_expired", error, endedAt: updatedAt }
  return attempt
}

const leaseToken = Brand.nominal<LeaseToken>()

/** An attempt of which nothing is known. */
const unknown = (task: Task, token: number): Attempt => ({
  taskId: task.id,
  number: task.attempts,
  token: leaseToken(Math.max(1, token)),
  owner: "unknown",
  startedAt: task.updatedAt,
  endedAt: task.updatedAt,
  execution: null,
  verification: null,
  outcome: "running",
  error: null,
  usage: null
})
