/**
 * `baton run`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { FlagGroups } from "../settings/flagGroups.ts"
import { flagGroups, runFlags, sourceFlags } from "../settings/runFlags.ts"

/**
 * Runs a list of tasks to its end.
 *
 * @category commands
 * @since 0.1.0
 */
export const run = Command.make("run", { ...sourceFlags, ...runFlags }, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/run.ts")),
    ({ run }) => run(flags)
  )
).pipe(
  Command.annotate(FlagGroups, flagGroups),
  Command.withDescription(
    "Import the sources and work on the tasks until none is left that could run. Running it again goes on where it stopped: what is completed stays completed.\n\n" +
      "The command of --exec gets a task's description on stdin and BATON_TASK_ID, BATON_ATTEMPT, BATON_FEEDBACK (why the last attempt failed) and BATON_METADATA in its environment.\n\n" +
      "Exit codes: 0 every task completed; 1 usage, configuration or an unexpected error; 2 at least one task is in the dead-letter queue, or waits for one that did not complete; 3 a limit stopped the run; 129, 130, 143 a signal (or `baton stop`) stopped it after the drain."
  ),
  Command.withShortDescription("Work on a list of tasks until none is left"),
  Command.withExamples([
    { command: "baton run tasks.jsonl --exec 'claude -p' --verify './check.sh'", description: "Work through a list" },
    {
      command: "baton run books.csv --template 'Summarise {{title}}' --exec 'claude -p' -j 8",
      description: "A task a row, eight at a time"
    },
    {
      command: "baton run prompts.csv --template '{{prompt}}' --executor claude --verifier claude --max-cost 5",
      description: "Claude's API, for five dollars at most"
    },
    { command: "baton run --shell 'claude -p | tee -a log'", description: "Go on with what is in the store" },
    {
      command: "baton run todo.md --executor fake --output ndjson | jq -r .event",
      description: "Try it out and see every event"
    }
  ])
)
