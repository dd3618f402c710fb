/** `baton list` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { all, json, limit, status } from "../settings/commandFlags.ts"
import { statusWord, taskColumns, printTable } from "../view/taskTable.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"

/** Lists tasks in the order in which they were added. */
export const list = Command.make(
  "list",
  { status, limit, all, json },
  Effect.fnUntraced(function* (input) {
    const baton = yield* commandName
    const nothing =
      input.status === undefined
        ? `There are no tasks yet. Add some with \`${baton} add 'TEXT'\` or \`${baton} import FILE\`.`
        : `There are no ${statusWord({ status: input.status })} tasks.`
    yield* printTable({ ...input, columns: taskColumns, nothing })
  })
).pipe(
  Command.withDescription(
    "List the tasks in the order in which they were added. On a terminal, the list is limited to a hundred tasks and cut to the width; in a pipe, it is complete."
  ),
  Command.withShortDescription("List the tasks"),
  Command.withExamples([
    { command: "baton list", description: "List the first hundred tasks" },
    { command: "baton list --status failed --all", description: "List the dead-letter queue" },
    {
      command: "baton list --json | jq -r '.[] | select(.attempts > 1).id'",
      description: "Print the ids of retried tasks"
    }
  ]),
  Command.provide(store.layerExisting)
)
