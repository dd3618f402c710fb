/**
 * `baton list`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { all, json, limit, status } from "../settings/taskFlags.ts"
import { statusWord, taskColumns, printTable } from "../view/taskTable.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"

/**
 * Lists tasks in the order they were added.
 *
 * @category commands
 * @since 0.1.0
 */
export const list = Command.make(
  "list",
  { status, limit, all, json },
  Effect.fnUntraced(function* (input) {
    const baton = yield* commandName
    const nothing =
      input.status === undefined
        ? `There are no tasks yet: \`${baton} add 'TEXT'\` or \`${baton} import FILE\` brings some.`
        : `There are no tasks that are ${statusWord({ status: input.status })}.`
    yield* printTable({ ...input, columns: taskColumns, nothing })
  })
).pipe(
  Command.withDescription(
    "List the tasks, in the order they were added. On a terminal the first hundred; in a pipe all of them, uncut."
  ),
  Command.withShortDescription("List the tasks"),
  Command.withExamples([
    { command: "baton list", description: "The first hundred tasks" },
    { command: "baton list --status failed --all", description: "Everything in the dead-letter queue" },
    { command: "baton list --json | jq -r '.[] | select(.attempts > 1).id'", description: "What needed a second try" }
  ]),
  Command.provide(store.layerExisting)
)
