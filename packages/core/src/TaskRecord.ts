/**
 * Everything that a store knows about one task, so that it can be moved into another store without loss.
 *
 * @since 0.1.0
 */
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Attempt, type AttemptOutcome } from "./Attempt.ts"
import { Execution } from "./Execution.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import { Task, TaskId, type TaskStatus } from "./Task.ts"
import { type Refusal, TasksRefused, TaskStoreError } from "./TaskStoreError.ts"

/**
 * A task with its lease, ledger and checkpoint.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskRecord = Schema.Struct({
  task: Task,
  /** The last lease token that was given out; 0 when the task was never claimed. */
  token: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  /** When the lease of a task in progress ends; absent for every other task. */
  leaseUntil: optionalNullOr(Schema.DateTimeUtcFromString),
  /**
   * The dependencies that have yet to complete. It cannot be derived from `dependsOn`: a completed dependency may have been
   * pruned.
   */
  waitsFor: Schema.Array(TaskId),
  /** An output that the next attempt verifies, so that it executes nothing. */
  checkpoint: optionalNullOr(Execution),
  /**
   * The output of the last attempt that was retried, failed or completed; absent when it was empty, and while the task is
   * completed.
   */
  previousOutput: optionalNullOr(Schema.String),
  /** The whole ledger, oldest attempt first, the one under way included. */
  attempts: Schema.Array(Attempt)
})

/** @since 0.1.0 */
export interface TaskRecord extends Schema.Schema.Type<typeof TaskRecord> {}

/**
 * The previous output as the ledger has it, for a store that does not keep it separately.
 *
 * @category getters
 * @since 0.1.0
 */
export const previousOutput = (status: TaskStatus, attempts: ReadonlyArray<Attempt>): string | undefined =>
  status === "completed"
    ? undefined
    : attempts.findLast(({ outcome }) => hasOutput.has(outcome))?.execution?.output || undefined

/** The outcomes of attempts whose output the next attempt gets. */
const hasOutput: ReadonlySet<AttemptOutcome> = new Set(["retried", "failed", "completed"])

/**
 * Checks records before `restore`: each id has to be new and to occur once, and the parts of a record have to agree, because
 * a store may keep values that they share only once.
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
        message: `The id ${JSON.stringify(id)} is already in use: restore into an empty store, or leave this task out.`
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
  // A completed task that was revised is pending, and has used no attempts since.
  const isRevised = last?.outcome === "completed" && task.status !== "completed" && task.attempts === 0
  const status = isRevised ? undefined : statusOf(last?.outcome)
  if (status !== undefined || ["in_progress", "in_review", "completed"].includes(task.status)) {
    if (task.status !== status) return `it is ${task.status}, but its last attempt is ${last?.outcome ?? "missing"}`
    if (last?.number !== task.attempts || last.token !== token) {
      return "its last attempt has another number or token than the task"
    }
  }
  if (task.result !== (task.status === "completed" ? last?.execution?.output : undefined)) {
    return "its result is not the output of the attempt that completed it"
  }
  if ((task.status === "in_progress") !== (record.leaseUntil !== undefined)) {
    return "it has a lease and is not in progress, or is in progress without a lease"
  }
  if (attempts.some((attempt) => attempt.taskId !== task.id)) return "it has attempts of another task"
  if (attempts.some((attempt, index) => attempt.token <= (attempts[index - 1]?.token ?? 0) || attempt.token > token)) {
    return "the tokens of its attempts are not in order"
  }
  if (attempts.slice(0, -1).some(({ outcome }) => outcome === "running")) {
    return "it has attempts after one that is under way"
  }
  if (record.previousOutput !== previousOutput(task.status, attempts)) {
    return "its previous output is not the output of the last failed attempt"
  }
  if (waitsFor.some((id) => !task.dependsOn.includes(id))) return "it waits for a task that it does not depend on"
  return undefined
}

/** The status of a task whose last attempt has this outcome, where the outcome decides it. */
const statusOf = (outcome: Attempt["outcome"] | undefined): TaskStatus | undefined =>
  outcome === "running" || outcome === "claimed"
    ? "in_progress"
    : outcome === "completed" || outcome === "in_review"
      ? outcome
      : undefined
