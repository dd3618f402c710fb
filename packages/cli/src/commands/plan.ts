/**
 * `baton plan`
 *
 * @since 0.1.0
 */
import * as TaskStore from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FlagGroups } from "../settings/flagGroups.ts"
import { flagGroups, runFlags, sourceFlags } from "../settings/runFlags.ts"
import { canvas, writeLine } from "../view/stdout.ts"
import { safeText } from "../view/safeText.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"

/**
 * Tells what a run would do and cost.
 *
 * @category commands
 * @since 0.1.0
 */
export const plan = Command.make("plan", { ...sourceFlags, ...runFlags }, (flags) =>
  Effect.gen(function* () {
    const { asksClaude } = yield* Effect.promise(() => import("../run/plan.ts"))
    const { make, PlanReport } = yield* Effect.promise(() => import("../claude/plan.ts"))
    const { planReport } = yield* Effect.promise(() => import("../view/planReport.ts"))
    const asks = yield* asksClaude(flags)
    const layer = flags.sources.length === 0 ? store.layerExisting : existingOrNone
    const report = yield* Effect.provide(make(flags, asks), layer)
    if (flags.json) return yield* printJson(PlanReport, report)
    yield* writeLine(planReport(report, yield* canvas).join("\n"))
  })
).pipe(
  Command.annotate(FlagGroups, flagGroups),
  Command.withDescription(
    "Tell what `baton run` would do with the same flags: how many tasks there are, the first prompts, their tokens, and what it will cost at the least, as can be expected, and at the worst, judging and retries included. Nothing is written and nothing is spent; with a key in the environment, Claude's API counts the tokens of a sample, which is free."
  ),
  Command.withShortDescription("Tell what a run would do and cost"),
  Command.withExamples([
    {
      command: "baton plan books.csv --template 'Summarise {{title}}' --executor claude --verifier claude",
      description: "Before the first run"
    },
    { command: "baton plan --executor claude --json | jq .estimate.costUsd", description: "What is left, as numbers" }
  ])
)

/** Where there is no store yet, a run would make one: planning one does not. */
const existingOrNone = Layer.catch(store.layerExisting, (error) =>
  error._tag === "CommandFailed"
    ? TaskStore.layerMemory
    : Layer.provideMerge(
        TaskStore.layerMemory,
        Layer.effectDiscard(
          Console.error(safeText(`warning: ${error.message} All tasks of the sources are counted as new.`))
        )
      )
)
