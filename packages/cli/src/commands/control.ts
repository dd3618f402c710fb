/** `baton pause`, `baton resume` and `baton stop`: requests to every run on a store. */
import { type ControlRequest, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import { json } from "../settings/commandFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { safe } from "../view/safeText.ts"

/** The state after a request. */
const ControlResult = Schema.Struct({
  paused: Schema.Boolean,
  /** Tasks in progress. */
  running: Schema.Int,
  pending: Schema.Int
})

interface ControlResult extends Schema.Schema.Type<typeof ControlResult> {}

/** Sends a request. */
const controlResult = Effect.fnUntraced(function* (
  request: ControlRequest
): Effect.fn.Return<ControlResult, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const { paused } = yield* store.request(request)
  const counts = yield* store.counts
  return { paused, running: counts.in_progress, pending: counts.pending }
})

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
        ? safe`${state}. No task is running, and none will start until ${resume}.`
        : safe`${state}. ${count(result.running, "running task")} will finish; no other task starts until ${resume}.`
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
    yield* writeLine(before.paused ? safe`Resumed. ${pending}` : safe`The store was not paused.`)
  })
).pipe(
  Command.withDescription("End a pause. Every run on the store starts tasks again."),
  Command.withShortDescription("End a pause"),
  Command.withExamples([{ command: "baton resume", description: "Continue after `baton pause`" }]),
  Command.provide(store.layerExisting)
)

/** Stops every run on the store. */
export const stop = Command.make(
  "stop",
  { json },
  Effect.fnUntraced(function* (input) {
    const result = yield* controlResult("stop")
    if (input.json) return yield* printJson(ControlResult, result)
    yield* writeLine(
      result.running === 0
        ? safe`Asked every run to stop. No task is running; idle workers stop too.`
        : safe`Asked every run to stop. ${count(result.running, "running task")} can still finish; unfinished tasks become pending again.`
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
