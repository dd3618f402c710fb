/**
 * `baton dlq list`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import { all, json, limit } from "../../settings/taskFlags.ts"
import { deadLetterColumns } from "../../view/taskTable.ts"
import * as store from "../../run/storeFromUrl.ts"
import { printTable } from "../../view/printTable.ts"

/**
 * Lists what is in the dead-letter queue, and why.
 *
 * @category commands
 * @since 0.1.0
 */
export const list = Command.make("list", { limit, all, json }, (input) =>
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
