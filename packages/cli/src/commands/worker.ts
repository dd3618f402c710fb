/** `baton worker` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { FlagGroups, runFlags, runGroups } from "../settings/flags.ts"

/** Runs tasks as they are added. */
export const worker = Command.make("worker", runFlags, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("../run/run.ts")),
    ({ work }) => work(flags)
  )
).pipe(
  Command.annotate(FlagGroups, runGroups),
  Command.withDescription(
    "Run the tasks of the store and wait for new ones until a signal, a limit or `baton stop` stops the worker. Several workers can share a store. Takes the flags of `baton run`.\n\n" +
      "Exit codes: 0 `baton stop` stopped the worker; 1 wrong usage or configuration, or an unexpected error; 3 a limit stopped the worker; 129, 130, 143 a signal stopped the worker after draining."
  ),
  Command.withShortDescription("Run tasks continuously and wait for new ones"),
  Command.withExamples([
    { command: "baton worker --exec 'claude -p' --verify './check.sh' -j 2", description: "Run two tasks at a time" },
    { command: "baton --store sqlite:/srv/baton.db worker --exec ./handle", description: "Use another store" }
  ])
)
