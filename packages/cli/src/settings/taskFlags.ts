/**
 * What commands that look at tasks take.
 *
 * @since 0.1.0
 */
import { TaskId, TaskStatus } from "@baton/core/Task"
import type * as Argument from "effect/cli/Argument"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Kind from "./Kind.ts"
import * as ownFlag from "./ownFlag.ts"

const decodeId = Schema.decodeUnknownOption(TaskId)

/**
 * The id of a task, as flags and arguments take it.
 *
 * @category models
 * @since 0.1.0
 */
export const idKind: Kind.Kind<TaskId> = {
  metavar: "ID",
  expected: "the id of a task, as `baton list` shows it",
  read: (text) => Option.getOrUndefined(decodeId(text))
}

/**
 * The id of a task.
 *
 * @category arguments
 * @since 0.1.0
 */
export const id: Argument.Argument<TaskId> = ownFlag.argument(idKind, "The task")

/**
 * The ids of tasks.
 *
 * @category arguments
 * @since 0.1.0
 */
export const ids = (options: {
  readonly min: 0 | 1
  readonly description: string
}): Argument.Argument<ReadonlyArray<TaskId>> => ownFlag.argumentsOf(idKind, options)

/**
 * `--json`
 *
 * @category flags
 * @since 0.1.0
 */
export const json = ownFlag.toggle("json", "Print JSON, for programs: its fields stay as they are")

/**
 * `--yes`
 *
 * @category flags
 * @since 0.1.0
 */
export const yes = ownFlag.toggle("yes", "Do not ask")

/**
 * `--status`
 *
 * @category flags
 * @since 0.1.0
 */
export const status = ownFlag.value("status", Kind.oneOf(...TaskStatus.literals), "Only tasks that stand so")

/**
 * `--limit`
 *
 * @category flags
 * @since 0.1.0
 */
export const limit = ownFlag.value("limit", Kind.count(1), "At most this many (default on a terminal: 100)")

/**
 * `--all`, for lists
 *
 * @category flags
 * @since 0.1.0
 */
export const all = ownFlag.toggle("all", "However many there are, on a terminal too")
