/** `baton dlq` */
import * as FailureCause from "@baton/core/FailureCause"
import { type Task, TaskId, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CliError from "effect/cli/CliError"
import { deadLetterColumns, printTable, statusWord } from "../view/taskTable.ts"
import * as store from "../run/stores.ts"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { pages } from "@baton/core/TaskPages"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import { safe } from "../view/safeText.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { confirm } from "../view/terminal.ts"
import { lookUp, failOnUnknown } from "./taskIds.ts"
import { printMessage } from "../view/stderr.ts"

const causeFlag = options.value(
  "cause",
  Kind.text("TEXT", "a part of the feedback of failed tasks, such as 'code 3'"),
  "Only failed tasks with this cause: a part of the feedback, in which ids, numbers and paths may differ"
)

const hasCause = ({ feedback }: Task, cause: string): boolean => FailureCause.matches(feedback ?? "no feedback", cause)

/** The ids of the failed tasks with a cause. */
const withCause = (cause: string) =>
  pages({ status: "failed" }).pipe(
    Stream.filter((task) => hasCause(task, cause)),
    Stream.map(({ id }) => id),
    Stream.runCollect
  )

/** Lists the dead letters with the reason of each. */
const list = Command.make(
  "list",
  { cause: causeFlag, limit: options.limit, all: options.all, json: options.json },
  (input) =>
    printTable({
      ...input,
      matches: (task) => input.cause === undefined || hasCause(task, input.cause),
      status: "failed",
      columns: deadLetterColumns,
      nothing: "The dead-letter queue is empty."
    })
).pipe(
  Command.withDescription("List the failed tasks with the feedback of their last attempt."),
  Command.withShortDescription("List failed tasks and the causes"),
  Command.withExamples([
    { command: "baton dlq list", description: "Show ids, attempts and feedback" },
    { command: "baton dlq list --json | jq -r '.[].id'", description: "Print only the ids" }
  ]),
  Command.provide(store.layerExisting)
)

const Requeued = Schema.Struct({
  requeued: Schema.Array(TaskId),
  /** Tasks that are not failed or cancelled. */
  unchanged: Schema.Array(Schema.Struct({ id: TaskId, status: TaskStatus })),
  unknown: Schema.Array(TaskId)
})

/** Makes failed tasks pending again. */
const requeue = Command.make(
  "requeue",
  {
    ids: options.ids({ min: 0, description: "The ids of failed or cancelled tasks" }),
    all: options.toggle("all", "All tasks in the dead-letter queue"),
    cause: causeFlag,
    json: options.json
  },
  Effect.fnUntraced(function* (input) {
    const store = yield* TaskStore
    const { known, unknown } = yield* lookUp(input.ids)
    const ids = input.cause === undefined ? known.map((task) => task.id) : yield* withCause(input.cause)
    const requeued = yield* store.requeue(input.all ? { status: "failed" } : { ids })
    const changed = new Set(requeued)
    const { known: unchanged } = yield* lookUp(known.map((task) => task.id).filter((id) => !changed.has(id)))
    if (input.json) yield* printJson(Requeued, { requeued, unchanged, unknown })
    else if (requeued.length > 0) {
      yield* writeLine(
        safe`${count(requeued.length, "task")} requeued. Run \`${yield* commandName} run\` to execute ${requeued.length === 1 ? "it" : "them"} again.`
      )
    } else if (input.all) yield* printMessage(safe`The dead-letter queue is empty.`)
    else if (input.cause !== undefined) {
      yield* printMessage(
        safe`No failed task has the cause "${input.cause}". \`${yield* commandName} dlq list\` lists the failed tasks.`
      )
    }
    yield* Effect.forEach(
      unchanged,
      (task) => printMessage(safe`${task.id} is ${statusWord(task)}; it was not requeued.`),
      { discard: true }
    )
    yield* failOnUnknown(unknown)
  })
).pipe(
  Command.validate((input) => idsOrAll("requeue", input)),
  Command.withDescription(
    "Make failed or cancelled tasks pending again, with the full number of attempts. Their history is kept, and the next attempt receives the last feedback."
  ),
  Command.withShortDescription("Make failed tasks pending again"),
  Command.withExamples([
    { command: "baton dlq requeue --all", description: "Requeue all failed tasks" },
    { command: "baton dlq requeue packages-12", description: "Requeue one task" },
    { command: "baton dlq requeue --cause 'code 3'", description: "Requeue the tasks that failed for one reason" }
  ]),
  Command.provide(store.layerExisting)
)

const Purged = Schema.Struct({
  deleted: Schema.Int,
  /** Tasks that are not dead letters. */
  unchanged: Schema.Array(Schema.Struct({ id: TaskId, status: TaskStatus })),
  unknown: Schema.Array(TaskId)
})

/** Deletes dead letters. */
const purge = Command.make(
  "purge",
  {
    ids: options.ids({ min: 0, description: "The ids of dead letters" }),
    all: options.toggle("all", "All tasks in the dead-letter queue"),
    yes: options.yes,
    json: options.json
  },
  Effect.fnUntraced(function* (input) {
    const store = yield* TaskStore
    const { known, unknown } = yield* lookUp(input.ids)
    const failed = known.filter((task) => task.status === "failed").map((task) => task.id)
    const unchanged = known.filter((task) => task.status !== "failed")
    const expected = input.all ? (yield* store.counts).failed : failed.length
    if (expected > 0) {
      yield* confirm({
        what: count(expected, "dead letter"),
        yes: input.yes
      })
    }
    const deleted =
      expected === 0 ? 0 : yield* store.prune({ statuses: ["failed"], ids: input.all ? undefined : failed })
    if (input.json) yield* printJson(Purged, { deleted, unchanged, unknown })
    else if (deleted > 0) yield* writeLine(safe`${count(deleted, "dead letter")} deleted.`)
    else if (input.all) yield* printMessage(safe`The dead-letter queue is empty.`)
    yield* Effect.forEach(
      unchanged,
      (task) =>
        printMessage(
          safe`${task.id} is ${statusWord(task)}; it was not deleted, because only dead letters are purged.`
        ),
      { discard: true }
    )
    yield* failOnUnknown(unknown)
  })
).pipe(
  Command.validate((input) => idsOrAll("purge", input)),
  Command.withDescription("Delete failed tasks and their history. Asks for confirmation unless --yes is given."),
  Command.withShortDescription("Delete failed tasks"),
  Command.withExamples([
    { command: "baton dlq purge packages-12", description: "Delete one dead letter" },
    { command: "baton dlq purge --all --yes", description: "Delete all dead letters without confirmation" }
  ]),
  Command.provide(store.layerExisting)
)

/** Requires ids, `--all` or a cause, so that a forgotten id does not affect all tasks. */
const idsOrAll = (
  verb: string,
  input: { readonly ids: ReadonlyArray<string>; readonly all: boolean; readonly cause?: string | undefined }
): Effect.Effect<void, CliError.ValidationError> => {
  const given = [
    ...(input.ids.length > 0 ? ["Ids"] : []),
    ...(input.all ? ["--all"] : []),
    ...(input.cause === undefined ? [] : ["--cause"])
  ]
  if (given.length === 1) return Effect.void
  const message =
    given.length > 0
      ? `${given.join(" and ")} are both given. Use only one of them.`
      : `There are no tasks to ${verb}. Name their ids, or add --all.`
  return Effect.fail(new CliError.ValidationError({ message }))
}

/** The commands for the dead-letter queue. */
export const dlq = Command.make("dlq").pipe(
  Command.withDescription(
    "The dead-letter queue contains tasks that have used all of their attempts, or that failed with a permanent error. They are kept with their history until they are requeued or purged."
  ),
  Command.withShortDescription("List, requeue or purge failed tasks"),
  Command.withSubcommands([list, requeue, purge])
)
