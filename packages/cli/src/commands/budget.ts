/** `baton budget` */
import * as Budget from "@baton/core/Budget"
import { type BudgetChange, TaskStore } from "@baton/core/TaskStore"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as queues from "../run/queues.ts"
import * as store from "../run/stores.ts"
import { QueueFlag } from "../settings/flags.ts"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { budgetLines, QueueBudget, queueBudget } from "../view/budgets.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { safe, safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { writeLine } from "../view/stdout.ts"

const budgets = Effect.gen(function* () {
  const { budgets } = yield* TaskStore
  if (budgets !== undefined) return budgets
  return yield* new CommandFailed({
    message: "This store keeps no budgets. Limit each run with --max-cost-per-run or --max-tokens-per-run."
  })
})

/** Prints a line for each budget. */
export const print = (budgets: ReadonlyArray<QueueBudget>) =>
  Effect.forEach(budgetLines(budgets), (line) => writeLine(safeText(line)), { discard: true })

const change = Effect.fnUntraced(function* (queue: string, change: BudgetChange) {
  const { set } = yield* budgets
  return queueBudget(yield* set(queue, change))
})

const printOne = (budget: QueueBudget, json: boolean) => (json ? printJson(QueueBudget, budget) : print([budget]))

const printAll = Effect.fnUntraced(function* (input: { readonly json: boolean }) {
  const { list } = yield* budgets
  const queue = yield* QueueFlag
  const found = (yield* list).filter((budget) => queue === undefined || budget.queue === queue).map(queueBudget)
  if (input.json) return yield* printJson(Schema.Array(QueueBudget), found)
  if (found.length === 0) {
    return yield* printMessage(
      safe`No budget is set. Set one with \`${yield* commandName} budget set --max-cost USD\`.`
    )
  }
  yield* print(found)
})

/** The flags of the limits of a queue. */
export const limitFlags = {
  maxCost: options.value("max-cost", Kind.or(Kind.dollars, "none"), "The most that the tasks of the queue may cost"),
  maxTokens: options.value(
    "max-tokens",
    Kind.or(Kind.count(1), "none"),
    "The most tokens that the tasks of the queue may use"
  )
}

type Limits = Command.Command.Config.Infer<typeof limitFlags>

/** Whether a limit was given. */
export const hasLimits = ({ maxCost, maxTokens }: Limits): boolean => maxCost !== undefined || maxTokens !== undefined

/** Sets the limits of a queue. */
export const setLimits = (queue: string, { maxCost, maxTokens }: Limits) => {
  const nanoUsd = maxCost === undefined || maxCost === null ? maxCost : Budget.toNanoUsd(maxCost, Math.floor)
  return change(queue, {
    limit: {
      ...(nanoUsd === undefined ? {} : { nanoUsd }),
      ...(maxTokens === undefined ? {} : { tokens: maxTokens })
    }
  })
}

const show = Command.make("show", { json: options.json }, printAll).pipe(
  Command.withDescription(
    "Show the limits of the queues, the amounts spent, and the amounts that running attempts have reserved."
  ),
  Command.withShortDescription("Show the budgets"),
  Command.withExamples([{ command: "baton budget show", description: "Show the budgets of all queues" }]),
  Command.provide(store.layerAllQueues)
)

const set = Command.make(
  "set",
  { ...limitFlags, json: options.json },
  Effect.fnUntraced(function* ({ json, ...limits }) {
    yield* printOne(yield* setLimits(yield* queues.only, limits), json)
  })
).pipe(
  Command.validate((input) =>
    hasLimits(input)
      ? Effect.void
      : Effect.fail(
          new CliError.ValidationError({ message: "There is no limit to set. Add --max-cost USD or --max-tokens N." })
        )
  ),
  Command.withDescription(
    "Set a limit of a queue, for all its runs and workers together. The amount spent still counts. Runs under way see the new limit at once; a run that was stopped continues when you start it again."
  ),
  Command.withShortDescription("Set a limit of a queue"),
  Command.withExamples([
    { command: "baton budget set --max-cost 10", description: "Let the only queue spend ten dollars in all" },
    { command: "baton budget set --queue prompts --max-cost none", description: "Remove the limit of a queue" }
  ]),
  Command.provide(store.layerAllQueues)
)

const reset = Command.make("reset", { json: options.json }, (input) =>
  Effect.gen(function* () {
    yield* printOne(yield* change(yield* queues.only, { committed: Budget.zero }), input.json)
  })
).pipe(
  Command.withDescription("Count the spending of a queue from zero again. The limit stays."),
  Command.withShortDescription("Count from zero again"),
  Command.withExamples([
    { command: "baton budget reset --queue prompts", description: "Let a queue spend its whole limit again" }
  ]),
  Command.provide(store.layerAllQueues)
)

/** Shows and changes the budgets of queues. */
export const budget = Command.make("budget", {}, () => printAll({ json: false })).pipe(
  Command.withDescription(
    "A budget limits the spending of a queue, over all its runs and workers, across restarts and crashes. `baton run --max-cost` sets it too."
  ),
  Command.withShortDescription("Show or change the budgets of queues"),
  Command.provide(store.layerAllQueues),
  Command.withSubcommands([show, set, reset])
)
