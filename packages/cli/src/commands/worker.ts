/**
 * `baton worker`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { FlagGroups } from "../settings/flagGroups.ts"
import { flagGroups, runFlags } from "../settings/runFlags.ts"

/**
 * Works on tasks as they come.
 *
 * @category commands
 * @since 0.1.0
 */
export const worker = Command.make("worker", runFlags, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/run.ts")),
    ({ work }) => work(flags)
  )
).pipe(
  Command.annotate(FlagGroups, flagGroups),
  Command.withDescription(
    "Work on the tasks of the store and wait for new ones, until a signal, a limit or `baton stop` ends it. Any number of workers can share a store. Takes the flags of `baton run`.\n\n" +
      "Exit codes: 0 `baton stop` ended it; 1 usage, configuration or an unexpected error; 3 a limit stopped it; 129, 130, 143 a signal stopped it after the drain."
  ),
  Command.withShortDescription("Work on tasks as they come, without an end"),
  Command.withExamples([
    { command: "baton worker --exec 'claude -p' --verify './check.sh' -j 2", description: "Two tasks at a time" },
    { command: "baton --store sqlite:/srv/baton.db worker --exec ./handle", description: "On another store" }
  ])
)
