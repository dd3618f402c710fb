/**
 * `baton dlq purge`
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
import { ids, json, yes } from "../../settings/taskFlags.ts"
import { writeLine } from "../../view/stdout.ts"
import { count } from "../../view/quantity.ts"
import { safeText } from "../../view/safeText.ts"
import { statusWord } from "../../view/taskTable.ts"
import * as store from "../../run/storeFromUrl.ts"
import { confirm } from "../../view/confirm.ts"
import { lookUp } from "../lookUp.ts"
import { printJson } from "../../view/printJson.ts"
import { failOnUnknown } from "../unknownTask.ts"
import { idsOrAll } from "./idsOrAll.ts"

const Result = Schema.Struct({
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
export const purge = Command.make(
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
    if (input.json) yield* printJson(Result, { deleted, unchanged, unknown })
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
