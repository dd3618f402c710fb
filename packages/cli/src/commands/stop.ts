/** `baton stop` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { json } from "../settings/options.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { ControlResult, controlResult } from "./controlResult.ts"
import { printJson } from "../view/json.ts"

/** Stops every run on the store. */
export const stop = Command.make(
  "stop",
  { json },
  Effect.fnUntraced(function* (input) {
    const result = yield* controlResult("stop")
    if (input.json) return yield* printJson(ControlResult, result)
    yield* writeLine(
      result.running === 0
        ? "Asked every run to stop. No task is running; idle workers stop too."
        : `Asked every run to stop. ${count(result.running, "running task")} can still finish; unfinished tasks become pending again.`
    )
  })
).pipe(
  Command.withDescription(
    "Stop every run and worker on the store, on all machines. Each one lets running tasks finish within the drain timeout, releases the others and exits. Runs that start later are not affected."
  ),
  Command.withShortDescription("Stop all runs"),
  Command.withExamples([{ command: "baton stop", description: "Stop all runs and workers" }]),
  Command.provide(store.layerExisting)
)
