/** `baton show` */
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskId } from "@baton/core/Task"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { id, json } from "../settings/commandFlags.ts"
import { canvas, writeLines } from "../view/stdout.ts"
import { TaskWithHistory, printJson } from "../view/json.ts"
import { taskReport } from "../view/taskReport.ts"
import * as store from "../run/stores.ts"
import { failOnUnknown, lookUp } from "./taskIds.ts"

/** A task can have thousands of dependencies; only the first are shown. */
const maxDependencies = 50

/** Shows a task with all of its attempts. */
export const show = Command.make(
  "show",
  { id, json },
  Effect.fnUntraced(function* (input) {
    const store = yield* TaskStore
    const [task] = (yield* lookUp([input.id])).known
    if (task === undefined) return yield* failOnUnknown([input.id])
    const history = yield* store.attempts(task.id)
    if (input.json) return yield* printJson(TaskWithHistory, { ...task, history })
    const dependencies = yield* Effect.forEach(task.dependsOn.slice(0, maxDependencies), statusOf)
    const report = taskReport({ task, history, dependencies }, yield* canvas, yield* Clock.currentTimeMillis)
    yield* writeLines(report)
  })
).pipe(
  Command.withDescription(
    "Show a task: its description, every attempt with output, verdict, cost and the difference to the output before, and its result."
  ),
  Command.withShortDescription("Show a task and its attempts"),
  Command.withExamples([
    { command: "baton show packages-12", description: "Show one task" },
    { command: "baton show packages-12 --json | jq -r .result", description: "Print only its result" }
  ]),
  Command.provide(store.layerExisting)
)

const statusOf = (id: TaskId) =>
  TaskStore.use((store) =>
    Effect.map(store.get(id), (task) => [id, Option.getOrNull(Option.map(task, ({ status }) => status))] as const)
  )
