/**
 * `baton pause`
 *
 * @since 0.1.0
 */
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { json } from "../settings/taskFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"
import { ControlResult, controlResult } from "./controlResult.ts"
import { printJson } from "../view/json.ts"

/**
 * Pauses every run on the store.
 *
 * @category commands
 * @since 0.1.0
 */
export const pause = Command.make(
  "pause",
  { json },
  Effect.fnUntraced(function* (input) {
    const before = yield* TaskStore.use((store) => store.control)
    const result = yield* controlResult("pause")
    if (input.json) return yield* printJson(ControlResult, result)
    const resume = `\`${yield* commandName} resume\``
    const state = before.paused ? "Paused already" : "Paused"
    yield* writeLine(
      result.running === 0
        ? `${state}. Nothing is running, and no run starts a task until ${resume}.`
        : `${state}. ${count(result.running, "task")} still running will finish; no other starts until ${resume}.`
    )
  })
).pipe(
  Command.withDescription(
    "Pause every run on the store, in this terminal, another one or on another machine. Tasks that run go on to their end; runs that start later wait as well."
  ),
  Command.withShortDescription("Start no more tasks for now"),
  Command.withExamples([{ command: "baton pause", description: "Until baton resume" }]),
  Command.provide(store.layerExisting)
)
