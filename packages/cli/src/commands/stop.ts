/**
 * `baton stop`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { json } from "../settings/taskFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { ControlResult, controlResult } from "./controlResult.ts"
import { printJson } from "../view/json.ts"

/**
 * Ends every run on the store.
 *
 * @category commands
 * @since 0.1.0
 */
export const stop = Command.make(
  "stop",
  { json },
  Effect.fnUntraced(function* (input) {
    const result = yield* controlResult("stop")
    if (input.json) return yield* printJson(ControlResult, result)
    yield* writeLine(
      result.running === 0
        ? "Asked every run to end. Nothing is running; workers that wait for tasks end too."
        : `Asked every run to end. ${count(result.running, "running task")} may still finish; what does not is pending again.`
    )
  })
).pipe(
  Command.withDescription(
    "End every run and worker on the store, in whatever process: each gives its running tasks the drain timeout, puts back what is left and exits. Runs that start later are not affected."
  ),
  Command.withShortDescription("End every run"),
  Command.withExamples([{ command: "baton stop", description: "Runs and workers, here and elsewhere" }]),
  Command.provide(store.layerExisting)
)
