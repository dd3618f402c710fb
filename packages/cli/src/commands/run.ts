/** `baton run` and `baton worker` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { FlagGroups, runFlags, runGroups, workerFlags } from "../settings/flags.ts"
import { sourceOptions } from "../settings/commandFlags.ts"

/** Runs a list of tasks until no task is left that can run. */
export const run = Command.make("run", { ...sourceOptions, ...runFlags }, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/run.ts")),
    ({ run }) => run(flags)
  )
).pipe(
  Command.annotate(FlagGroups, runGroups),
  Command.withDescription(
    "Import the sources and run the tasks until no task is left that can run. Run the same command again to resume: completed tasks are not executed again.\n\n" +
      "The --exec command receives the description of a task on stdin, and BATON_TASK_ID, BATON_ATTEMPT, BATON_FEEDBACK (why the last attempt failed) and BATON_METADATA in its environment. The --verify command receives the output on stdin, and BATON_DESCRIPTION in addition.\n\n" +
      "Exit codes: 0 every task completed; 1 wrong usage or configuration, or an unexpected error; 2 at least one task is in the dead-letter queue, or depends on one that did not complete; 3 a limit stopped the run; 4 tasks wait for review; 129, 130, 143 a signal (or `baton stop`) stopped the run after draining."
  ),
  Command.withShortDescription("Run a list of tasks"),
  Command.withExamples([
    {
      command: "baton run tasks.jsonl --exec 'claude -p' --verify './check.sh'",
      description: "Run a list with a verifier"
    },
    {
      command: "baton run books.csv --template 'Summarise {{title}}' --exec 'claude -p' -j 8",
      description: "Run one task per row, eight at a time"
    },
    {
      command: "baton run prompts.csv --template '{{prompt}}' --executor claude --verifier claude --max-cost 5",
      description: "Use Claude's API for at most five dollars"
    },
    {
      command: "baton run pipeline.yaml -j 8",
      description: "Run the stages of a pipeline, each with its own executor"
    },
    {
      command: "baton run --shell 'claude -p --output-format json | jq -er .result'",
      description: "Resume the tasks in the store through a pipeline; if one of its programs fails, so does the task"
    },
    {
      command: "baton run todo.md --executor fake --output ndjson | jq -r .event",
      description: "Try it without a model and print every event"
    }
  ])
)

/** Runs the tasks of the store and waits for new ones. */
export const worker = Command.make("worker", workerFlags, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/run.ts")),
    ({ work }) => work(flags)
  )
).pipe(
  Command.annotate(FlagGroups, runGroups),
  Command.withDescription(
    "Run the tasks of the store and wait for new ones until a signal, a limit or `baton stop` stops the worker. Several workers can share a store. Takes the flags of `baton run`. With --workflows, it executes workflows instead: see `baton workflow`.\n\n" +
      "Exit codes: 0 `baton stop` stopped the worker; 1 wrong usage or configuration, or an unexpected error; 3 a limit stopped the worker; 129, 130, 143 a signal stopped the worker after draining."
  ),
  Command.withShortDescription("Run tasks continuously and wait for new ones"),
  Command.withExamples([
    { command: "baton worker --exec 'claude -p' --verify './check.sh' -j 2", description: "Run two tasks at a time" },
    { command: "baton --store sqlite:/srv/baton.db worker --exec ./handle", description: "Use another store" },
    { command: "baton worker --workflows", description: "Execute the workflows of baton.config.ts" }
  ])
)
