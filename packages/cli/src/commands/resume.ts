/** `baton resume` */
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { json } from "../settings/options.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { ControlResult, controlResult } from "./controlResult.ts"
import { printJson } from "../view/json.ts"

/** Ends a pause. */
export const resume = Command.make(
  "resume",
  { json },
  Effect.fnUntraced(function* (input) {
    const before = yield* TaskStore.use((store) => store.control)
    const result = yield* controlResult("resume")
    if (input.json) return yield* printJson(ControlResult, result)
    const pending =
      result.pending === 0 ? "No tasks are pending." : `Runs can start ${count(result.pending, "pending task")}.`
    yield* writeLine(before.paused ? `Resumed. ${pending}` : "The store was not paused.")
  })
).pipe(
  Command.withDescription("End a pause. Every run on the store starts tasks again."),
  Command.withShortDescription("End a pause"),
  Command.withExamples([{ command: "baton resume", description: "Continue after `baton pause`" }]),
  Command.provide(store.layerExisting)
)
