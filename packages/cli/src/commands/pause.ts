/** `baton pause` */
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { json } from "../settings/options.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"
import { ControlResult, controlResult } from "./controlResult.ts"
import { printJson } from "../view/json.ts"

/** Pauses every run on the store. */
export const pause = Command.make(
  "pause",
  { json },
  Effect.fnUntraced(function* (input) {
    const before = yield* TaskStore.use((store) => store.control)
    const result = yield* controlResult("pause")
    if (input.json) return yield* printJson(ControlResult, result)
    const resume = `\`${yield* commandName} resume\``
    const state = before.paused ? "Already paused" : "Paused"
    yield* writeLine(
      result.running === 0
        ? `${state}. No task is running, and none will start until ${resume}.`
        : `${state}. ${count(result.running, "running task")} will finish; no other task starts until ${resume}.`
    )
  })
).pipe(
  Command.withDescription(
    "Pause every run on the store, including runs in other terminals and on other machines. Running tasks finish. Runs that start later also wait."
  ),
  Command.withShortDescription("Pause all runs"),
  Command.withExamples([{ command: "baton pause", description: "Pause until `baton resume`" }]),
  Command.provide(store.layerExisting)
)
