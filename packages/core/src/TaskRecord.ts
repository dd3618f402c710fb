/**
 * Everything that a store knows of one task: what is needed to move it into another store without losing anything.
 *
 * @since 0.1.0
 */
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Attempt } from "./Attempt.ts"
import { Execution } from "./Execution.ts"
import { Task, TaskId, type TaskStatus } from "./Task.ts"
import { type Refusal, TasksRefused, TaskStoreError } from "./TaskStoreError.ts"

/**
 * A task with what its store keeps beside it.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskRecord = Schema.Struct({
  task: Task,
  /** The last lease token that was given out; 0 when the task was never claimed. */
  token: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  /** When the lease of a task in progress ends; null for every other task. */
  leaseUntil: Schema.NullOr(Schema.DateTimeUtcFromString),
  /**
   * The dependencies that have yet to complete. `dependsOn` does not tell: one that completed may have been pruned since.
   */
  waitsFor: Schema.Array(TaskId),
  /** An output that the next attempt verifies, so that it executes nothing. */
  checkpoint: Schema.NullOr(Execution),
  /** What the last attempt that was retried or failed brought out; null when that was nothing, and once completed. */
  previousOutput: Schema.NullOr(Schema.String),
  /** The whole ledger, oldest attempt first, the one under way included. */
  attempts: Schema.Array(Attempt)
})

/** @since 0.1.0 */
export interface TaskRecord extends Schema.Schema.Type<typeof TaskRecord> {}

/**
 * The previous output that a ledger tells of, for a store that keeps it nowhere else.
 *
 * @category getters
 * @since 0.1.0
 */
export const previousOutput = (status: TaskStatus, attempts: ReadonlyArray<Attempt>): string | null =>
  status === "completed"
    ? null
    : attempts.findLast(({ outcome }) => outcome === "retried" || outcome === "failed")?.execution?.output || null

/**
 * Whether a store can take these records in, which every `restore` asks first: their ids have to be new, each of them one
 * task, and the parts of a record have to fit together, because a store may keep what they have in common only once.
 *
 * @category guards
 * @since 0.1.0
 */
export const validate = (
  records: ReadonlyArray<TaskRecord>,
  isThere: (id: TaskId) => boolean
): Result.Result<void, TaskStoreError | TasksRefused> => {
  const ids = new Set<TaskId>()
  const refusals: Array<Refusal> = []
  for (const record of records) {
    const { id } = record.task
    const wrong = contradiction(record)
    if (wrong !== undefined) {
      const message = `The record of task ${JSON.stringify(id)} cannot be restored, because it contradicts itself: ${wrong}.`
      return Result.fail(new TaskStoreError({ reason: "Unusable", message }))
    }
    if (ids.has(id) || isThere(id)) {
      refusals.push({
        taskId: id,
        problem: "IdInUse",
        message: `The id ${JSON.stringify(id)} is in use already: restore into an empty store, or leave this task out.`
      })
    }
    ids.add(id)
  }
  return isReadonlyArrayNonEmpty(refusals) ? Result.fail(new TasksRefused({ refusals })) : Result.void
}

/** Why the parts of a record do not fit together, if they do not. */
const contradiction = (record: TaskRecord): string | undefined => {
  const { attempts, task, token, waitsFor } = record
  const last = attempts.at(-1)
  const status = statusOf(last?.outcome)
  if (status !== undefined || task.status === "in_progress" || task.status === "completed") {
    if (task.status !== status) return `it is ${task.status}, but its last attempt is ${last?.outcome ?? "missing"}`
    if (last?.number !== task.attempts || last.token !== token) {
      return "its last attempt has another number or token than the task"
    }
  }
  if (task.result !== (task.status === "completed" ? (last?.execution?.output ?? null) : null)) {
    return "its result is not the output of the attempt that completed it"
  }
  if ((task.status === "in_progress") !== (record.leaseUntil !== null)) {
    return "it has a lease and is not in progress, or the other way round"
  }
  if (attempts.some((attempt) => attempt.taskId !== task.id)) return "it has attempts of another task"
  if (attempts.some((attempt, index) => attempt.token <= (attempts[index - 1]?.token ?? 0) || attempt.token > token)) {
    return "the tokens of its attempts are not in order"
  }
  if (attempts.slice(0, -1).some(({ outcome }) => statusOf(outcome) !== undefined)) {
    return "it has attempts after one that completed it or is under way"
  }
  if (record.previousOutput !== previousOutput(task.status, attempts)) {
    return "its previous output is not that of the last attempt that failed"
  }
  if (waitsFor.some((id) => !task.dependsOn.includes(id))) return "it waits for a task that it does not depend on"
  return undefined
}

/** The status of a task whose last attempt has this outcome, where the outcome decides it. */
const statusOf = (outcome: Attempt["outcome"] | undefined): TaskStatus | undefined =>
  outcome === "running" ? "in_progress" : outcome === "completed" ? "completed" : undefined
