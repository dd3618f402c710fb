/** `baton chaos` */
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { StoreUrl } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"

const defaultTasks = 2_000

/** Tests the promises of a store while workers are killed and frozen. */
export const chaos = Command.make(
  "chaos",
  {
    tasks: options.value("tasks", Kind.count(1), `The number of tasks of a round (default: ${defaultTasks})`),
    seed: options.value(
      "seed",
      Kind.count(0),
      "Decides the order of the faults; printed, so that a round can be repeated"
    ),
    for: options.value("for", Kind.duration(), "Repeat rounds, each with the next seed, until this time has passed")
  },
  Effect.fnUntraced(function* ({ for: duration = Duration.zero, seed, tasks = defaultTasks }) {
    const { chaos } = yield* Effect.promise(() => import("../chaos/chaos.ts"))
    const chosen = seed ?? (yield* Random.nextIntBetween(0, 1_000_000))
    yield* chaos({ store: yield* StoreUrl, tasks, seed: chosen, duration })
  })
).pipe(
  Command.withDescription(
    "Test the promises of a store on your own server or disk: four workers run test tasks while they are killed (SIGKILL) and frozen (SIGSTOP) at random, and the results are compared with what every worker observed. No task may be lost or settled twice, and no result of a worker that lost its lease may be accepted.\n\n" +
      "The command works in a separate schema, key prefix or folder next to the store, and removes it afterwards. The tasks of the store are not touched.\n\n" +
      "Exit codes: 0 the store kept its promises; 1 it broke one, or it could not be tested."
  ),
  Command.withShortDescription("Test the promises of a store with crashes"),
  Command.withExamples([
    { command: "baton chaos --store postgres://db/work", description: "Test a store on PostgreSQL" },
    { command: "baton chaos --store redis://cache --for 10m", description: "Test for ten minutes" }
  ])
)
