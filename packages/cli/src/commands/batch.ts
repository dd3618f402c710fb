/** `baton batch` */
import type { BatchJournal, BatchRun } from "@baton/core/BatchJournal"
import { TaskStore } from "@baton/core/TaskStore"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as account from "../models/claude/account.ts"
import * as store from "../run/stores.ts"
import { QueueFlag } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { PendingBatch, pendingBatch } from "../view/batches.ts"
import { printJson } from "../view/json.ts"
import { count, elapsed } from "../view/quantity.ts"
import { firstLine, safe, safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { canvas, writeLine, writeLines } from "../view/stdout.ts"
import * as Table from "../view/table.ts"

const journal = Effect.gen(function* () {
  const { batches } = yield* TaskStore
  if (batches !== undefined) return batches
  return yield* new CommandFailed({ message: "This store keeps no batches. Choose another store with --store." })
})

/** The batches of `--queue`, or of all queues. */
const pendingIn = Effect.fnUntraced(function* ({ list }: BatchJournal) {
  const queue = yield* QueueFlag
  return (yield* list).filter((batch) => queue === undefined || batch.queue === queue)
})

const columns: ReadonlyArray<Table.Column<PendingBatch>> = [
  { header: "BATCH", text: ({ id }) => firstLine(id ?? "not confirmed") },
  { header: "QUEUE", flexible: true, text: ({ queue }) => firstLine(queue) },
  { header: "REQUESTS", align: "right", text: ({ requests }) => String(requests) },
  { header: "AGE", align: "right", text: ({ seconds }) => elapsed(Duration.seconds(seconds)) }
]

const print = Effect.fnUntraced(function* (input: { readonly json: boolean }) {
  const now = yield* DateTime.now
  const found = (yield* pendingIn(yield* journal)).map((batch) => pendingBatch(batch, now))
  if (input.json) return yield* printJson(Schema.Array(PendingBatch), found)
  if (found.length === 0) return yield* printMessage(safeText("No batch is in progress."))
  const lines = yield* Stream.runCollect(Table.lines(() => columns, yield* canvas)(Stream.fromIterable(found)))
  yield* writeLines(lines)
})

const list = Command.make("list", { json: options.json }, print).pipe(
  Command.withDescription(
    "List the batches of requests to Claude that have not ended, whichever worker created them. The id is missing while it is not known whether a batch was created."
  ),
  Command.withShortDescription("List the batches in progress"),
  Command.withExamples([
    { command: "baton batch list", description: "List the batches of all queues" },
    { command: "baton batch list --queue prompts --json", description: "Print those of one queue as JSON" }
  ]),
  Command.provide(store.layerAllQueues)
)

const Result = Schema.Struct({
  cancelled: Schema.Array(Schema.String),
  forgotten: Schema.Array(Schema.String)
})

const batchesModule = Effect.promise(() => import("@baton/adapters/claude"))

/** The batches with these ids, or all of them. */
const chosen = Effect.fnUntraced(function* (
  ids: ReadonlyArray<string>,
  all: boolean,
  batches: ReadonlyArray<BatchRun>
) {
  if (all) return batches
  const unknown = ids.find((id) => !batches.some((batch) => nameOf(batch) === id))
  if (unknown === undefined) return batches.filter((batch) => ids.includes(nameOf(batch)))
  return yield* new CommandFailed({
    message: `No batch ${safeText(unknown)} is in progress. \`baton batch list\` lists them.`
  })
})

/** A batch without an id goes by its name in the journal. */
const nameOf = ({ id, run }: BatchRun): string => id ?? run

const cancel = Command.make(
  "cancel",
  {
    ids: Argument.String("BATCH").pipe(
      Argument.withDescription("The id of a batch, as `baton batch list` shows it"),
      Argument.variadic()
    ),
    all: options.toggle("all", "Cancel all batches in progress, or those of --queue"),
    forget: options.toggle(
      "forget",
      "Do not ask the API: remove the batches from the store, so that their requests are sent again. They count as spent"
    ),
    json: options.json
  },
  Effect.fnUntraced(function* ({ all, forget, ids, json }) {
    const batches = yield* journal
    const targets = yield* chosen(ids, all, yield* pendingIn(batches))
    const { Batches } = yield* batchesModule
    if (forget) yield* Effect.forEach(targets, ({ run }) => Batches.forget(batches, run), { discard: true })
    else yield* cancelAt(targets, Batches.cancel)
    const names = targets.map(nameOf)
    if (json) {
      return yield* printJson(Result, { cancelled: forget ? [] : names, forgotten: forget ? names : [] })
    }
    const requests = targets.reduce((sum, batch) => sum + batch.requests, 0)
    const what = `${count(requests, "request")} in ${count(targets.length, "batch", "batches")}`
    yield* writeLine(
      forget
        ? safe`${what}: forgotten. A run with --batch sends the requests again, and pays for them.`
        : safe`${what}: cancelled. Its answers so far are paid for. A run with --batch collects it, and sends the rest again.`
    )
  })
).pipe(
  Command.validate(({ all, ids }) =>
    ids.length > 0 === all
      ? Effect.fail(new CliError.ValidationError({ message: "Name batches to cancel, or add --all, but not both." }))
      : Effect.void
  ),
  Command.withDescription(
    "Cancel batches of requests to Claude. The API answers no more of their requests; the answers that exist are paid for. A run with --batch collects these, and sends the other requests again."
  ),
  Command.withShortDescription("Cancel batches"),
  Command.withExamples([
    { command: "baton batch cancel msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", description: "Cancel one batch" },
    { command: "baton batch cancel --all --queue prompts", description: "Cancel the batches of a queue" }
  ]),
  Command.provide(store.layerAllQueues)
)

const cancelAt = Effect.fnUntraced(function* (
  batches: ReadonlyArray<BatchRun>,
  cancelOne: (api: account.Account, id: string) => Effect.Effect<void, { readonly message: string }>
) {
  const unconfirmed = batches.find(({ id }) => id === undefined)
  if (unconfirmed !== undefined) {
    return yield* new CommandFailed({
      message: `It is not known whether the batch ${safeText(nameOf(unconfirmed))} was created. Run with --batch until it has an id, or add --forget.`
    })
  }
  const from = yield* account.require
  for (const { id } of batches) {
    if (id === undefined) continue
    yield* Effect.mapError(cancelOne(from, id), ({ message }) => new CommandFailed({ message }))
  }
})

/** Shows and cancels batches. */
export const batch = Command.make("batch", {}, () => print({ json: false })).pipe(
  Command.withDescription(
    "Runs with --batch send requests to Claude in batches. The store has them, so that any worker of the queue collects the answers."
  ),
  Command.withShortDescription("List or cancel batches of requests"),
  Command.provide(store.layerAllQueues),
  Command.withSubcommands([list, cancel])
)
