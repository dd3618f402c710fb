/**
 * Errors of a store.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { TaskId } from "./Task.ts"

/**
 * The store did not carry out an operation.
 *
 * - `Unavailable`: it cannot be reached or is busy; a retry may succeed
 * - `Unusable`: it is not Baton's, corrupt, read-only or of a newer version; a person has to act
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskStoreError extends Schema.TaggedError<TaskStoreError>()("TaskStoreError", {
  reason: Schema.Literals(["Unavailable", "Unusable"]),
  /** A sentence for a person: the problem and the way out. */
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
  problem: Schema.Literals([
    "UnknownDependency",
    "DependencyCycle",
    "IdInUse",
    "InvalidQueueName",
    "OtherQueue",
    "InvalidConcurrencyKey",
    "InvalidPriority",
    "InvalidPayload",
    "InvalidMetadata",
    "InvalidOverrides"
  ]),
  /** A sentence for a person: the problem with this task. */
  message: Schema.String
})

/** @since 0.1.0 */
export interface Refusal extends Schema.Schema.Type<typeof Refusal> {}

/**
 * An `add` or `restore` call added nothing, because these tasks were refused. `IdInUse`: the id belongs to
 * another task, or, when restoring, to any task. `InvalidQueueName`, `InvalidConcurrencyKey`: the name or key is empty, too
 * long, or no valid text. `OtherQueue`: the task names a queue that the part of a store does not have. `InvalidPriority`: the priority is not a whole number. `InvalidPayload`, `InvalidMetadata`: JSON
 * cannot represent the value. `InvalidOverrides`: a number is not whole or too small.
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
