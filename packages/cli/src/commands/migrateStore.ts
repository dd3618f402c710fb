/**
 * `baton migrate-store`
 *
 * @since 0.1.0
 */
import { Counts, TaskStore } from "@baton/core/TaskStore"
import type { TaskRecord } from "@baton/core/TaskRecord"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as Kind from "../settings/Kind.ts"
import * as ownFlag from "../settings/ownFlag.ts"
import { json } from "../settings/taskFlags.ts"
import { count, number } from "../view/quantity.ts"
import * as Screen from "../view/Screen.ts"
import { writeLine } from "../view/stdout.ts"
import * as terminal from "../view/terminal.ts"
import { storeFromUrl } from "../run/stores.ts"
import { printJson } from "../view/json.ts"

const Result = Schema.Struct({ copied: Schema.Int, counts: Counts, paused: Schema.Boolean })

const url = (metavar: string) => Kind.text(metavar, "the URL of a store, such as sqlite:PATH")

/**
 * Copies a list from one store into another.
 *
 * @category commands
 * @since 0.1.0
 */
export const migrateStore = Command.make(
  "migrate-store",
  {
    from: ownFlag.argument(url("FROM"), "The store that has the tasks"),
    to: ownFlag.argument(url("TO"), "A store with nothing in it; it is made when there is none"),
    force: ownFlag.toggle("force", "Copy though tasks are being worked on"),
    json
  },
  Effect.fnUntraced(function* (input) {
    if (input.from === input.to) {
      return yield* new CommandFailed({ message: "FROM and TO are the same store: name another one." })
    }
    if (input.to.startsWith("memory:")) {
      return yield* new CommandFailed({ message: "TO would be gone with this command: name a store that stays." })
    }
    const from = yield* open(input.from, { mustExist: true })
    const before = yield* from.counts
    const running = input.force ? 0 : yield* underLease(from)
    if (running > 0) {
      return yield* new CommandFailed({
        message:
          `${count(running, "task")} of FROM ${running === 1 ? "is" : "are"} being worked on: stop the runs with ` +
          "`baton stop` first, or add --force, and what they bring out from then on is missing in TO."
      })
    }
    const to = yield* open(input.to)
    const taken = totalOf(yield* to.counts)
    if (taken > 0) {
      return yield* new CommandFailed({
        message: `TO has ${count(taken, "task")} already: name a store with nothing in it.`
      })
    }
    yield* copy(from, to, totalOf(before))
    const counts = yield* to.counts
    yield* verify(yield* from.counts, counts, input.force)
    const { paused } = yield* to.control
    if (input.json) return yield* printJson(Result, { copied: totalOf(counts), counts, paused })
    yield* writeLine(`${count(totalOf(counts), "task")} copied with all history${kinds(counts)}.`)
    if (paused) yield* Console.error("Runs are paused in TO, as they are in FROM; `baton resume` goes on.")
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    [
      "Copy all tasks of one store into another, with their results, history and fencing: nothing is lost, and runs go on",
      "there where they were. FROM stays as it is. A task that was in progress is taken over in TO as after a crash. Fields",
      "of a JSON file that are not Baton's stay behind."
    ].join(" ")
  ),
  Command.withShortDescription("Copy all tasks into another store"),
  Command.withExamples([
    { command: "baton migrate-store json:tasks.json sqlite:.baton/baton.db", description: "From a file to a database" },
    {
      command: "baton migrate-store sqlite:.baton/baton.db postgres://localhost/work",
      description: "To where several machines can work on it"
    }
  ])
)

const open = (url: string, options?: { readonly mustExist: boolean }) =>
  Effect.map(Layer.build(Layer.fresh(storeFromUrl(url, options))), Context.get(TaskStore))

const copy = Effect.fnUntraced(function* (from: TaskStore["Service"], to: TaskStore["Service"], total: number) {
  let copied = 0
  yield* Screen.make(
    yield* terminal.stderr,
    Effect.sync(() => `${number(copied)} of ${count(total, "task")} copied`)
  )
  const onPage = (sofar: number) => {
    copied = sofar
  }
  yield* copyRecords({ from, to, onPage }).pipe(
    Effect.catchTag("TasksRefused", ({ refusals: [first] }) =>
      Effect.fail(new CommandFailed({ message: `TO was given other tasks meanwhile. ${first.message}` }))
    ),
    Effect.onError(() =>
      Console.error(
        `Only ${number(copied)} of ${count(total, "task")} were copied: delete what is in TO before you try again.`
      )
    )
  )
}, Effect.scoped)

const statuses = ["completed", "failed", "cancelled", "in_progress", "pending"] as const

const totalOf = (counts: Counts): number => statuses.reduce((sum, status) => sum + counts[status], 0)

const kinds = (counts: Counts): string => {
  const found = statuses.filter((status) => counts[status] > 0)
  return found.length === 0 ? "" : `: ${found.map((status) => `${number(counts[status])} ${status}`).join(", ")}`
}

/** A difference means that FROM was worked on while it was read. */
const verify = Effect.fnUntraced(function* (from: Counts, to: Counts, isExpected: boolean) {
  const differences = [...statuses, "waiting" as const]
    .filter((status) => from[status] !== to[status])
    .map((status) => `${number(from[status])} ${status} in FROM, ${number(to[status])} in TO`)
  if (differences.length === 0) return
  const message = `FROM changed while it was copied (${differences.join("; ")})`
  if (isExpected) return yield* Console.error(`${message}.`)
  return yield* new CommandFailed({ message: `${message}: delete what is in TO, and try again when nothing runs.` })
})

type Store = TaskStore["Service"]

/** A page is one write of the target: few enough for its history to fit in memory, many enough for a file that is rewritten. */
const pageSize = 500

/**
 * Everything that a store knows of its tasks, in the order they were added; only a page of it is in memory.
 *
 * @category streams
 * @since 0.1.0
 */
const records = (store: Store): Stream.Stream<TaskRecord, TaskStoreError> =>
  Stream.paginate(undefined as string | undefined, (cursor) =>
    Effect.map(
      store.dump({ limit: pageSize, cursor }),
      ({ next, records }) => [records, next === null ? Option.none() : Option.some(next)] as const
    )
  )

/**
 * How many tasks are being worked on right now: under a lease that has not ended.
 *
 * @category getters
 * @since 0.1.0
 */
const underLease = Effect.fnUntraced(function* (store: Store): Effect.fn.Return<number, TaskStoreError> {
  if ((yield* store.counts).in_progress === 0) return 0
  const now = yield* Clock.currentTimeMillis
  return yield* Stream.runFold(
    records(store),
    () => 0,
    (count, { leaseUntil }) => (leaseUntil !== null && leaseUntil.epochMilliseconds > now ? count + 1 : count)
  )
})

/**
 * Copies tasks with all there is to know of them, and whether runs are paused. Tells `onPage` how many are copied so far.
 *
 * @category running
 * @since 0.1.0
 */
const copyRecords = Effect.fnUntraced(function* (options: {
  readonly from: Store
  readonly to: Store
  readonly onPage: (copied: number) => void
}): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
  const { from, onPage, to } = options
  let copied = 0
  yield* Stream.runForEachArray(records(from), (page) =>
    Effect.andThen(
      to.restore(page),
      Effect.sync(() => onPage((copied += page.length)))
    )
  )
  if ((yield* from.control).paused) yield* to.request("pause")
})
