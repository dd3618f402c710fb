/** `baton cancel` */
import { TaskId, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ids, json } from "../settings/commandFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { safe, type SafeText } from "../view/safeText.ts"
import { statusWord } from "../view/taskTable.ts"
import * as store from "../run/stores.ts"
import { lookUp, failOnUnknown } from "./taskIds.ts"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"

const Result = Schema.Struct({
  cancelled: Schema.Array(Schema.Struct({ id: TaskId, wasRunning: Schema.Boolean })),
  /** Tasks that were already finished. */
  unchanged: Schema.Array(Schema.Struct({ id: TaskId, status: TaskStatus })),
  unknown: Schema.Array(TaskId)
})

/** Cancels pending and running tasks. */
export const cancel = Command.make(
  "cancel",
  { ids: ids({ min: 1, description: "The ids of the tasks" }), json },
  Effect.fnUntraced(function* (input) {
    const store = yield* TaskStore
    const before = yield* lookUp(input.ids)
    const changed = new Set(yield* store.cancel({ ids: before.known.map((task) => task.id) }))
    const cancelled = before.known
      .filter((task) => changed.has(task.id))
      .map((task) => ({ id: task.id, wasRunning: task.status === "in_progress" }))
    // Looked up again, because a running task may have ended in the meantime.
    const { known: unchanged } = yield* lookUp(before.known.map((task) => task.id).filter((id) => !changed.has(id)))
    if (input.json) yield* printJson(Result, { cancelled, unchanged, unknown: before.unknown })
    else if (cancelled.length > 0)
      yield* Effect.forEach(cancelled, (task) => writeLine(sentence(task)), { discard: true })
    yield* Effect.forEach(
      unchanged,
      (task) => printMessage(safe`${task.id} is already ${statusWord(task)}; it was not changed.`),
      { discard: true }
    )
    yield* failOnUnknown(before.unknown)
  })
).pipe(
  Command.withDescription(
    "Cancel tasks. A pending task does not start. A running task is stopped by its worker, and its result is discarded."
  ),
  Command.withShortDescription("Cancel tasks"),
  Command.withExamples([
    { command: "baton cancel packages-12 packages-13", description: "Cancel two tasks" },
    {
      command: "baton cancel $(baton list --status pending --json | jq -r '.[].id')",
      description: "Cancel all pending tasks"
    }
  ]),
  Command.provide(store.layerExisting)
)

const sentence = ({ id, wasRunning }: (typeof Result.Type)["cancelled"][number]): SafeText =>
  wasRunning ? safe`${id} is cancelled. It was running; its worker is stopping it.` : safe`${id} is cancelled.`
