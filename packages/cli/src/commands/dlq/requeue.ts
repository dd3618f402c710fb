/**
 * `baton dlq requeue`
 *
 * @since 0.1.0
 */
import { TaskId, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ownFlag from "../../settings/ownFlag.ts"
import { ids, json } from "../../settings/taskFlags.ts"
import { writeLine } from "../../view/stdout.ts"
import { count } from "../../view/quantity.ts"
import { safeText } from "../../view/safeText.ts"
import { statusWord } from "../../view/taskTable.ts"
import * as store from "../../run/storeFromUrl.ts"
import { commandName } from "../../view/commandName.ts"
import { lookUp } from "../lookUp.ts"
import { printJson } from "../../view/printJson.ts"
import { failOnUnknown } from "../unknownTask.ts"
import { idsOrAll } from "./idsOrAll.ts"

const Result = Schema.Struct({
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
export const requeue = Command.make(
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
    if (input.json) yield* printJson(Result, { requeued, unchanged, unknown })
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
