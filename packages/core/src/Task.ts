/**
 * A task: one unit of work, from the moment it is added until it is completed or given up.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.ts"

/**
 * Identifies a task within its store. Adding a task with an existing id adds nothing.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskId = Schema.NonEmptyString.pipe(Schema.brand("@baton/core/TaskId"))

/** @since 0.1.0 */
export type TaskId = typeof TaskId.Type

/**
 * The status of a task. `failed` is the dead-letter queue: a failed task keeps its feedback and its history until it is
 * requeued or pruned.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskStatus = Schema.Literals(["pending", "in_progress", "completed", "failed", "cancelled"])

/** @since 0.1.0 */
export type TaskStatus = typeof TaskStatus.Type

/**
 * The statuses that a task leaves only on a request: requeue or prune.
 *
 * @category models
 * @since 0.1.0
 */
export const terminalStatuses = ["completed", "failed", "cancelled"] as const satisfies ReadonlyArray<TaskStatus>

/**
 * A JSON object that a user attaches to a task. Baton does not change it.
 *
 * @category models
 * @since 0.1.0
 */
export const Metadata = Schema.JsonObject

/** @since 0.1.0 */
export type Metadata = typeof Metadata.Type

/**
 * A task as a store returns it.
 *
 * @category models
 * @since 0.1.0
 */
export const Task = Schema.Struct({
  id: TaskId,
  /** The prompt. */
  description: Schema.String,
  status: TaskStatus,
  /** The accepted output, once completed. */
  result: Schema.NullOr(Schema.String),
  /** Attempts used since the task was added or last requeued; the one under way included. */
  attempts: Schema.Int,
  metadata: Metadata,
  /** Higher is claimed first. */
  priority: Schema.Int,
  /** Not claimed before this time. */
  availableAt: Schema.DateTimeUtcFromString,
  /** Not claimed before all of these are completed. */
  dependsOn: Schema.Array(TaskId),
  /** Why the last attempt failed; given to the next attempt. */
  feedback: Schema.NullOr(Schema.String),
  /** Whether a verifier accepted the result. A completed task can be unverified only when the run had no verifier. */
  verified: Schema.Boolean,
  /** The number of times the task was requeued. */
  requeues: Schema.Int,
  /** What all attempts together used; null when nothing was metered. */
  usage: Schema.NullOr(Usage),
  createdAt: Schema.DateTimeUtcFromString,
  updatedAt: Schema.DateTimeUtcFromString
})

/** @since 0.1.0 */
export interface Task extends Schema.Schema.Type<typeof Task> {}

/**
 * A task to be added. Everything except `id` and `description` has a default: no metadata,
 * priority 0, available at once, no dependencies.
 *
 * @category models
 * @since 0.1.0
 */
export const NewTask = Schema.Struct({
  id: TaskId,
  description: Schema.String,
  metadata: Schema.optionalKey(Metadata),
  priority: Schema.optionalKey(Schema.Int),
  availableAt: Schema.optionalKey(Schema.DateTimeUtcFromString),
  dependsOn: Schema.optionalKey(Schema.Array(TaskId))
})

/** @since 0.1.0 */
export interface NewTask extends Schema.Schema.Type<typeof NewTask> {}

/**
 * Makes a `NewTask` from plain strings. Throws on an empty id: use `Schema.decodeUnknownEffect(NewTask)` for input that
 * you do not control.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Omit<NewTask, "id" | "dependsOn"> & { readonly id: string; readonly dependsOn?: ReadonlyArray<string> }
): NewTask => {
  const { dependsOn, id, ...rest } = options
  return {
    ...rest,
    id: TaskId.make(id),
    ...(dependsOn === undefined ? undefined : { dependsOn: dependsOn.map((id) => TaskId.make(id)) })
  }
}
