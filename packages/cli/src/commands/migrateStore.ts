/** `baton migrate-store` */
import * as Budget from "@baton/core/Budget"
import type { TaskRecord } from "@baton/core/TaskRecord"
import { Counts, TaskStore } from "@baton/core/TaskStore"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Command from "effect/cli/Command"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { records } from "@baton/core/TaskPages"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { count, number } from "../view/quantity.ts"
import * as Screen from "../view/Screen.ts"
import { writeLine } from "../view/stdout.ts"
import * as terminal from "../view/terminal.ts"
import { storeFromUrl } from "../run/stores.ts"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"
import { safe, safeText } from "../view/safeText.ts"

const Result = Schema.Struct({ copied: Schema.Int, counts: Counts, paused: Schema.Boolean })

const url = (metavar: string) => Kind.text(metavar, "the URL of a store, such as sqlite:PATH")

/** Copies all tasks from one store into another. */
export const migrateStore = Command.make(
  "migrate-store",
  {
    from: options.argument(url("FROM"), "The store to copy from"),
    to: options.argument(
      url("TO"),
      "The store to copy to; it is created if it does not exist. It must be empty, or hold what an interrupted copy of FROM has written"
    ),
    force: options.toggle("force", "Copy even if tasks are running, or requests are in a batch"),
    json: options.json
  },
  Effect.fnUntraced(function* (input) {
    if (input.from === input.to) {
      return yield* new CommandFailed({ message: "FROM and TO are the same store. Use different stores." })
    }
    if (input.to.startsWith("memory:")) {
      return yield* new CommandFailed({
        message: "TO is in memory and would be lost when this command exits. Use a persistent store."
      })
    }
    const from = yield* open(input.from, { mustExist: true })
    const before = yield* from.counts
    const running = input.force ? 0 : yield* countRunning(from)
    if (running > 0) {
      return yield* new CommandFailed({
        message:
          `${count(running, "task")} of FROM ${running === 1 ? "is" : "are"} running. Stop the runs with \`baton stop\` first, or ` +
          "add --force; results that are stored in FROM after the copy are then missing in TO."
      })
    }
    const pending = input.force || from.batches === undefined ? [] : yield* from.batches.list
    if (pending.length > 0) {
      return yield* new CommandFailed({
        message:
          `${count(pending.length, "batch", "batches")} of FROM ${pending.length === 1 ? "has" : "have"} not ended. Collect the results with \`baton run --batch\` first, or ` +
          "add --force; their requests are then sent and paid for again."
      })
    }
    const to = yield* open(input.to)
    const written = totalOf(yield* to.counts)
    yield* isBeginning(from, to, written)
    yield* copy({ from, to, written, total: totalOf(before) })
    const counts = yield* to.counts
    yield* verify(yield* from.counts, counts, input.force)
    const { paused } = yield* to.control
    if (input.json) return yield* printJson(Result, { copied: totalOf(counts), counts, paused })
    yield* writeLine(safe`${count(totalOf(counts), "task")} copied with their history${kinds(counts)}.`)
    if (paused)
      yield* printMessage(safe`TO is paused because FROM is paused. Run \`baton resume\` to start tasks again.`)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    [
      "Copy all tasks of one store into another, with their results, history and fencing tokens, so that runs can continue",
      "on TO. FROM is not changed. A copy that was interrupted continues when the same command runs again. A task that is in progress is taken over on TO as after a crash. Fields of a JSON file",
      "that Baton does not use are not copied."
    ].join(" ")
  ),
  Command.withShortDescription("Copy all tasks into another store"),
  Command.withExamples([
    {
      command: "baton migrate-store json:tasks.json sqlite:.baton/baton.db",
      description: "Copy from a file to a database"
    },
    {
      command: "baton migrate-store sqlite:.baton/baton.db postgres://localhost/work",
      description: "Copy to a store that several machines can share"
    }
  ])
)

const open = (url: string, options?: { readonly mustExist: boolean }) =>
  Effect.map(Layer.build(Layer.fresh(storeFromUrl(url, options))), Context.get(TaskStore))

/** Fails unless the tasks of TO are the first ones of FROM, as a copy leaves them that was interrupted. */
const isBeginning = Effect.fnUntraced(function* (from: Store, to: Store, written: number) {
  if (written === 0) return
  const inFrom = Stream.map(records(from, { maxPageSize }), Option.some)
  const other = yield* records(to, { maxPageSize }).pipe(
    Stream.zip(Stream.concat(inFrom, Stream.forever(Stream.succeed(Option.none<TaskRecord>())))),
    Stream.filter(([copied, original]) => !Option.exists(original, isSame(copied))),
    Stream.runHead
  )
  if (Option.isNone(other)) return
  const [{ task }] = other.value
  return yield* new CommandFailed({
    message: `TO already has ${count(written, "task")}, and the task ${safeText(task.id)} is not as in FROM. Use an empty store.`
  })
})

/** Whether no one has worked on the task since it was copied. */
const isSame = (one: TaskRecord) => (other: TaskRecord) =>
  one.task.id === other.task.id &&
  one.task.queue === other.task.queue &&
  one.task.status === other.task.status &&
  one.task.requeues === other.task.requeues &&
  one.token === other.token

interface Copying {
  readonly from: Store
  readonly to: Store
  /** How many tasks TO has already. */
  readonly written: number
  readonly total: number
}

const copy = Effect.fnUntraced(function* ({ from, to, total, written }: Copying) {
  let copied = written
  yield* Screen.make(
    yield* terminal.stderr,
    Effect.sync(() => `${number(copied)} of ${count(total, "task")} copied`)
  )
  const onPage = (sofar: number) => {
    copied = sofar
  }
  yield* copyRecords({ from, to, written, onPage }).pipe(
    Effect.catchTag("TasksRefused", ({ refusals: [first] }) =>
      Effect.fail(new CommandFailed({ message: `Other tasks were added to TO during the copy. ${first.message}` }))
    ),
    Effect.onError(() =>
      printMessage(
        safe`${number(copied)} of ${count(total, "task")} were copied. Run the same command again to copy the rest.`
      )
    )
  )
}, Effect.scoped)

const statuses = ["completed", "failed", "cancelled", "in_progress", "in_review", "pending"] as const

const totalOf = (counts: Counts): number => statuses.reduce((sum, status) => sum + counts[status], 0)

const kinds = (counts: Counts): string => {
  const found = statuses.filter((status) => counts[status] > 0)
  return found.length === 0 ? "" : `: ${found.map((status) => `${number(counts[status])} ${status}`).join(", ")}`
}

/** Compares the counts; a difference means that FROM changed during the copy. */
const verify = Effect.fnUntraced(function* (from: Counts, to: Counts, isExpected: boolean) {
  const differences = [...statuses, "waiting" as const]
    .filter((status) => from[status] !== to[status])
    .map((status) => `${number(from[status])} ${status} in FROM, ${number(to[status])} in TO`)
  if (differences.length === 0) return
  const message = `FROM changed during the copy (${differences.join("; ")})`
  if (isExpected) return yield* printMessage(safe`${message}.`)
  return yield* new CommandFailed({ message: `${message}. Stop all runs, empty TO, and try again.` })
})

type Store = TaskStore["Service"]

/** Records per write: small enough for memory, large enough for a target that rewrites a whole file each time. */
const maxPageSize = 500

/** The number of running tasks, which have a lease that has not expired. */
const countRunning = Effect.fnUntraced(function* (store: Store): Effect.fn.Return<number, TaskStoreError> {
  if ((yield* store.counts).in_progress === 0) return 0
  const now = yield* Clock.currentTimeMillis
  return yield* Stream.runFold(
    records(store, { maxPageSize }),
    () => 0,
    (count, { leaseUntil }) => (leaseUntil !== undefined && leaseUntil.epochMilliseconds > now ? count + 1 : count)
  )
})

/** Copies all records, the pause and the budgets. Calls `onPage` with the number of records copied so far. */
const copyRecords = Effect.fnUntraced(function* (options: {
  readonly from: Store
  readonly to: Store
  readonly written: number
  readonly onPage: (copied: number) => void
}): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
  const { from, onPage, to, written } = options
  let copied = written
  yield* Stream.runForEachArray(Stream.drop(records(from, { maxPageSize }), written), (page) =>
    Effect.andThen(
      to.restore(page),
      Effect.sync(() => onPage((copied += page.length)))
    )
  )
  if ((yield* from.control).paused) yield* to.request("pause")
  if (from.budgets === undefined || to.budgets === undefined) return
  // The calls of the attempts under way may have been made.
  for (const { committed, limit, queue, reserved } of yield* from.budgets.list) {
    yield* to.budgets.set(queue, { limit, committed: Budget.add(committed, reserved) })
  }
})
