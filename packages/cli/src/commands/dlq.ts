/**
 * `baton dlq`
 *
 * @since 0.1.0
 */
import { TaskId, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as CliError from "effect/cli/CliError"
import { all, json, limit, ids, yes } from "../settings/taskFlags.ts"
import { deadLetterColumns, printTable, statusWord } from "../view/taskTable.ts"
import * as store from "../run/stores.ts"
import * as ownFlag from "../settings/ownFlag.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { confirm } from "../view/terminal.ts"
import { lookUp, failOnUnknown } from "./taskIds.ts"

/**
 * Lists what is in the dead-letter queue, and why.
 *
 * @category commands
 * @since 0.1.0
 */
const list = Command.make("list", { limit, all, json }, (input) =>
  printTable({
    ...input,
    status: "failed",
    columns: deadLetterColumns,
    nothing: "The dead-letter queue is empty."
  })
).pipe(
  Command.withDescription("List the tasks that failed for good, with the feedback of their last attempt."),
  Command.withShortDescription("List what failed, and why"),
  Command.withExamples([
    { command: "baton dlq list", description: "Ids, tries and feedback" },
    { command: "baton dlq list --json | jq -r '.[].id'", description: "The ids alone" }
  ]),
  Command.provide(store.layerExisting)
)

const Requeued = Schema.Struct({
  requeued: Schema.Array(TaskId),
  /** Tasks that are neither failed nor cancelled. */
  unchanged: Schema.Array(Schema.Struct({ id: TaskId, status: TaskStatus })),
  unknown: Schema.Array(TaskId)
})

/**
 * Puts failed tasks back to pending.
 *
 * @category commands
 * @since 0.1.0
 */
const requeue = Command.make(
  "requeue",
  {
    ids: ids({ min: 0, description: "The tasks: failed ones, or cancelled ones" }),
    all: ownFlag.toggle("all", "Everything in the dead-letter queue"),
    json
  },
  Effect.fnUntraced(function* (input) {
    const store = yield* TaskStore
    const requeued = yield* store.requeue(input.all ? { status: "failed" } : { ids: input.ids })
    const changed = new Set(requeued)
    const { known: unchanged, unknown } = yield* lookUp(input.ids.filter((id) => !changed.has(id)))
    if (input.json) yield* printJson(Requeued, { requeued, unchanged, unknown })
    else if (requeued.length > 0) {
      yield* writeLine(`${count(requeued.length, "task")} requeued: \`${yield* commandName} run\` tries again.`)
    } else if (input.all) yield* Console.error("The dead-letter queue is empty.")
    yield* Effect.forEach(
      unchanged,
      (task) => Console.error(`${safeText(task.id)} is ${statusWord(task)}, so there is nothing to requeue.`),
      { discard: true }
    )
    yield* failOnUnknown(unknown)
  })
).pipe(
  Command.validate((input) => idsOrAll("requeue", input)),
  Command.withDescription(
    "Put failed or cancelled tasks back to pending, with all their attempts before them. Their history stays, and the next attempt hears the last feedback."
  ),
  Command.withShortDescription("Try tasks again that failed"),
  Command.withExamples([
    { command: "baton dlq requeue --all", description: "Everything that failed" },
    { command: "baton dlq requeue packages-12", description: "One task" }
  ]),
  Command.provide(store.layerExisting)
)

const Purged = Schema.Struct({
  deleted: Schema.Int,
  /** Tasks that did not fail, and so are not dead letters. */
  unchanged: Schema.Array(Schema.Struct({ id: TaskId, status: TaskStatus })),
  unknown: Schema.Array(TaskId)
})

/**
 * Deletes dead letters.
 *
 * @category commands
 * @since 0.1.0
 */
const purge = Command.make(
  "purge",
  {
    ids: ids({ min: 0, description: "The tasks" }),
    all: ownFlag.toggle("all", "Everything in the dead-letter queue"),
    yes,
    json
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
    else if (deleted > 0) yield* writeLine(`${count(deleted, "dead letter")} deleted.`)
    else if (input.all) yield* Console.error("The dead-letter queue is empty.")
    yield* Effect.forEach(
      unchanged,
      (task) =>
        Console.error(`${safeText(task.id)} is ${statusWord(task)}, so it stays: only dead letters are purged.`),
      { discard: true }
    )
    yield* failOnUnknown(unknown)
  })
).pipe(
  Command.validate((input) => idsOrAll("purge", input)),
  Command.withDescription("Delete tasks that failed for good, with their history. Asks first, unless --yes is given."),
  Command.withShortDescription("Delete what failed"),
  Command.withExamples([
    { command: "baton dlq purge packages-12", description: "One dead letter" },
    { command: "baton dlq purge --all --yes", description: "All of them, without a question" }
  ]),
  Command.provide(store.layerExisting)
)

/**
 * Either ids or `--all`: nothing is changed because an id was forgotten.
 *
 * @category guards
 * @since 0.1.0
 */
const idsOrAll = (
  verb: string,
  input: { readonly ids: ReadonlyArray<string>; readonly all: boolean }
): Effect.Effect<void, CliError.ValidationError> => {
  const named = input.ids.length > 0
  if (named !== input.all) return Effect.void
  const message = named
    ? "Ids and --all do not go together: leave one of them out."
    : `Nothing was named: say which tasks to ${verb} by their ids, or --all.`
  return Effect.fail(new CliError.ValidationError({ message }))
}

/**
 * The commands around the dead-letter queue.
 *
 * @category commands
 * @since 0.1.0
 */
export const dlq = Command.make("dlq").pipe(
  Command.withDescription(
    "The dead-letter queue: tasks that used up their attempts, or that trying again would not help. They stay, with their whole history, until they are requeued or purged."
  ),
  Command.withShortDescription("See, requeue or purge what failed"),
  Command.withSubcommands([list, requeue, purge])
)
