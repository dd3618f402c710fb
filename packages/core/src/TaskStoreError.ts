/**
 * What can go wrong with a store.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { TaskId } from "./Task.ts"

/**
 * The store could not do what it was asked.
 *
 * - `Unavailable`: it cannot be reached or is busy; trying again may help
 * - `Unusable`: it is not ours, corrupt, read-only or of a newer version; a person has to look
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskStoreError extends Schema.TaggedError<TaskStoreError>()("TaskStoreError", {
  reason: Schema.Literals(["Unavailable", "Unusable"]),
  /** One sentence for a person: what is wrong and the way out. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * Why one task of a call was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export const Refusal = Schema.Struct({
  taskId: TaskId,
  problem: Schema.Literals(["UnknownDependency", "DependencyCycle", "IdInUse"]),
  /** For a person: what is wrong with this task. */
  message: Schema.String
})

/** @since 0.1.0 */
export interface Refusal extends Schema.Schema.Type<typeof Refusal> {}

/**
 * Nothing of an `add` or `restore` call was added, because these tasks cannot be. `IdInUse`: the id belongs to a task with
 * another description, or, when restoring, to any task.
 *
 * @category errors
 * @since 0.1.0
 */
export class TasksRefused extends Schema.TaggedError<TasksRefused>()("TasksRefused", {
  refusals: Schema.NonEmptyArray(Refusal)
}) {
  override get message(): string {
    return this.refusals.map((refusal) => refusal.message).join("\n")
  }
}
