/** `baton show` */
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskId } from "@baton/core/Task"
import * as Arr from "effect/Array"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { id, json } from "../settings/commandFlags.ts"
import { canvas, writeLines } from "../view/stdout.ts"
import { TaskWithHistory, printJson } from "../view/json.ts"
import { taskReport } from "../view/taskReport.ts"
import * as queues from "../run/queues.ts"
import * as stores from "../run/stores.ts"
import { failOnUnknown, lookUp } from "./taskIds.ts"

/** A task can have thousands of dependencies; only the first are shown. */
const maxDependencies = 50

/** Shows a task with all of its attempts. */
export const show = Command.make(
  "show",
  { id, json },
  Effect.fnUntraced(function* (input) {
    const all = yield* TaskStore
    const store = yield* queues.selected(all)
    const task = yield* Effect.provideService(find(input.id), TaskStore, store)
    const history = yield* store.attempts(task.id)
    const progress = task.status === "in_progress" ? yield* reportedBy(store, task.id) : null
    if (input.json) {
      return yield* printJson(TaskWithHistory, { ...task, history, ...(progress === null ? undefined : { progress }) })
    }
    const dependencies = yield* Effect.forEach(task.dependsOn.slice(0, maxDependencies), statusIn([store, all]))
    const report = taskReport({ task, history, dependencies, progress }, yield* canvas, yield* Clock.currentTimeMillis)
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
  Command.provide(stores.layerAllQueues)
)

const find = Effect.fnUntraced(function* (id: TaskId) {
  const { known, unknown } = yield* lookUp([id])
  yield* failOnUnknown(unknown)
  return yield* Effect.orDie(Effect.fromNullishOr(known[0]))
})

/** The status of a dependency. It can be in another queue than the selected one. */
const statusIn = (stores: ReadonlyArray<TaskStore["Service"]>) => (id: TaskId) =>
  Effect.map(
    Effect.forEach(stores, ({ get }) => get(id)),
    (found) => [id, Arr.getSomes(found)[0]?.status ?? null] as const
  )

const reportedBy = ({ progress }: TaskStore["Service"], id: TaskId) =>
  progress === undefined ? Effect.succeed(null) : Effect.map(progress.of(id), Option.getOrNull)
