/** `baton set`: changes runs while they run. */
import { TaskStore } from "@baton/core/TaskStore"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as queues from "../run/queues.ts"
import * as store from "../run/stores.ts"
import * as options from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { QueueBudget } from "../view/budgets.ts"
import { printJson } from "../view/json.ts"
import { count } from "../view/quantity.ts"
import { safe, safeText } from "../view/safeText.ts"
import { writeLine } from "../view/stdout.ts"
import * as budgets from "./budget.ts"

const orDefault: Kind.Kind<number | null> = Kind.or(Kind.count(1), "default")

const workerKind = Kind.text("NAME", "the name of a worker, as `baton show` prints it")

/** The workers that hold tasks of a queue. Idle workers are not in the store. */
const workersOf = Effect.fnUntraced(function* (queue: string) {
  const { attempts, list } = yield* TaskStore
  const { tasks } = yield* list({ status: "in_progress", queue, limit: 1000 })
  const ledgers = yield* Effect.forEach(tasks, ({ id }) => attempts(id), { concurrency: 16 })
  return new Set(ledgers.flatMap((ledger) => ledger.at(-1)?.owner ?? []))
})

/** Fails if no worker with this name has a task. */
const requireWorker = Effect.fnUntraced(function* (queue: string, name: string) {
  const workers = Array.from(yield* workersOf(queue))
  // A worker adds a suffix to the name of its process.
  if (workers.some((worker) => worker === name || worker.startsWith(`${name}-`))) return
  return yield* new CommandFailed({
    message:
      workers.length === 0
        ? safe`No worker of the queue ${queue} has a task now. Leave out --worker to change all that are running.`
        : safe`No worker with the name ${name} has a task of the queue ${queue} now. These have: ${workers.slice(0, 8).join(", ")}.`
  })
})

const Result = Schema.Struct({
  queue: Schema.String,
  /** Present if it was set: the number of tasks at a time, or null for what the worker was started with. */
  concurrency: Schema.optional(Schema.NullOr(Schema.Int)),
  worker: Schema.optional(Schema.String),
  budget: Schema.optional(QueueBudget)
})

const setConcurrency = Effect.fnUntraced(function* (queue: string, concurrency: number | null, name?: string) {
  const { concurrency: settings } = yield* TaskStore
  if (settings === undefined) {
    return yield* new CommandFailed({
      message: "This store cannot tell running workers about another concurrency. Stop the run, and start it with -j."
    })
  }
  if (name !== undefined) yield* requireWorker(queue, name)
  yield* settings.set({ queue, worker: name, concurrency: concurrency ?? undefined })
})

const concurrencyLine = (queue: string, concurrency: number | null, worker: string | undefined) => {
  const who = worker === undefined ? safe`The running workers of the queue ${queue}` : safe`The worker ${worker}`
  const verb = worker === undefined ? "work" : "works"
  return concurrency === null
    ? safe`${who} ${verb} on as many tasks at a time as at the start.`
    : safe`${who} ${verb} on up to ${count(concurrency, "task")} at a time. Later runs use their own -j.`
}

/** Changes running workers, and the limits of their queue. */
export const set = Command.make(
  "set",
  {
    concurrency: options.value(
      "concurrency",
      orDefault,
      "The number of tasks that each running worker runs at the same time; default: as many as it was started with",
      { alias: "j" }
    ),
    worker: options.value("worker", workerKind, "With -j: only this worker (default: all that run on the queue)"),
    ...budgets.limitFlags,
    json: options.json
  },
  Effect.fnUntraced(function* (input) {
    const { concurrency, json, worker } = input
    const queue = yield* queues.only
    if (concurrency !== undefined) yield* setConcurrency(queue, concurrency, worker)
    const budget = budgets.hasLimits(input) ? yield* budgets.setLimits(queue, input) : undefined
    if (json) {
      return yield* printJson(Result, {
        queue,
        ...(concurrency === undefined ? undefined : { concurrency }),
        ...(worker === undefined ? undefined : { worker }),
        ...(budget === undefined ? undefined : { budget })
      })
    }
    if (concurrency !== undefined) yield* writeLine(safeText(concurrencyLine(queue, concurrency, worker)))
    if (budget !== undefined) yield* budgets.print([budget])
  })
).pipe(
  Command.validate(
    Effect.fnUntraced(function* (input) {
      if (input.worker !== undefined && input.concurrency === undefined) {
        return yield* new CliError.ValidationError({ message: "--worker is for -j: add -j N." })
      }
      if (input.concurrency === undefined && !budgets.hasLimits(input)) {
        return yield* new CliError.ValidationError({
          message: "There is nothing to set. Add -j N, --max-cost USD or --max-tokens N."
        })
      }
    })
  ),
  Command.withDescription(
    "Change a run while it runs, from another terminal or machine. -j applies at once to the workers that are running, and for as long as they run; tasks above a lower number run to their end. --max-cost and --max-tokens set the budget of the queue, as `baton budget set` does. To stop starting tasks, pause the queue with `baton pause --queue QUEUE`."
  ),
  Command.withShortDescription("Change a run while it runs"),
  Command.withExamples([
    { command: "baton set -j 16", description: "Work on 16 tasks at a time from now on" },
    { command: "baton set --queue prompts -j default", description: "Go back to the -j of the start" },
    { command: "baton set --max-cost 20", description: "Let the queue spend twenty dollars in all" }
  ]),
  Command.provide(store.layerAllQueues)
)
