/** `baton plan` */
import * as TaskStore from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FlagGroups, runFlags, runGroups } from "../settings/flags.ts"
import { allSources, sourceOptions } from "../settings/commandFlags.ts"
import { canvas, writeLines } from "../view/stdout.ts"
import { safe } from "../view/safeText.ts"
import * as queues from "../run/queues.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"

/** Estimates the tasks and the cost of a run. */
export const plan = Command.make("plan", { ...sourceOptions, ...runFlags }, (given) =>
  Effect.gen(function* () {
    const flags = { ...given, sources: yield* allSources(given) }
    const { apisOf } = yield* Effect.promise(() => import("../run/runParts.ts"))
    const { make } = yield* Effect.promise(() => import("../run/plan.ts"))
    const { Plan, planLines } = yield* Effect.promise(() => import("../view/plan.ts"))
    const apis = yield* apisOf(flags)
    const layer = flags.sources.length === 0 ? unfinished : existingOrNone
    const plan = yield* Effect.provide(make(flags, apis), layer)
    if (flags.json) return yield* printJson(Plan, plan)
    yield* writeLines(planLines(plan, yield* canvas))
  })
).pipe(
  Command.annotate(FlagGroups, runGroups),
  Command.withDescription(
    "Show what `baton run` would do with the same flags: the number of tasks, the first prompts and their tokens, and the lowest, expected and highest cost, including verification and retries. The command writes nothing and costs nothing. With an API key in the environment, Claude's API counts the tokens of a sample, which is free."
  ),
  Command.withShortDescription("Estimate the tasks and the cost of a run"),
  Command.withExamples([
    {
      command: "baton plan books.csv --template 'Summarise {{title}}' --executor claude --verifier claude",
      description: "Estimate the cost before the first run"
    },
    {
      command: "baton plan --executor claude --json | jq .estimate.costUsd",
      description: "Print the cost of the remaining tasks"
    }
  ])
)

/** The queue that a run without sources would continue. */
const unfinished = Layer.effect(
  TaskStore.TaskStore,
  Effect.flatMap(TaskStore.TaskStore, (store) =>
    Effect.map(queues.unfinished(store), (chosen) => TaskStore.inQueues(store, chosen))
  )
).pipe(Layer.provide(store.layerAllQueues))

/** Uses an empty store if none exists: a run would create the store, a plan does not. */
const existingOrNone = Layer.catch(store.layerAllQueues, (error) =>
  error._tag === "CommandFailed"
    ? TaskStore.layerMemory
    : Layer.provideMerge(
        TaskStore.layerMemory,
        Layer.effectDiscard(printMessage(safe`warning: ${error.message} All tasks in the sources count as new.`))
      )
)
