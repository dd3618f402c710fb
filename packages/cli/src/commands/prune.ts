/** `baton prune` */
import { type TaskStatus, terminalStatuses } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { count, number } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { confirm } from "../view/terminal.ts"
import { pages } from "@baton/core/TaskPages"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"
import { safe } from "../view/safeText.ts"

type Terminal = (typeof terminalStatuses)[number]

const statuses: Kind.Kind<ReadonlyArray<Terminal>> = {
  metavar: "STATUS,...",
  expected: "completed, failed and cancelled, separated by commas",
  read: (text) => {
    const names = text.split(",").map((name) => terminalStatuses.find((status) => status === name.trim()))
    const known = names.filter((name) => name !== undefined)
    return known.length === names.length ? known : undefined
  }
}

/** Dead letters wait for a person, so they are deleted only on request. */
const byDefault: ReadonlyArray<Terminal> = ["completed", "cancelled"]

const Result = Schema.Struct({ deleted: Schema.Int, dryRun: Schema.Boolean })

/** Deletes finished tasks. */
export const prune = Command.make(
  "prune",
  {
    statuses: options.value(
      "status",
      statuses,
      `Delete only tasks with these statuses (default ${byDefault.join(",")})`
    ),
    olderThan: options.value("older-than", Kind.duration(), "Delete only tasks that have not changed for this long"),
    dryRun: options.toggle("dry-run", "Only print the number of tasks that would be deleted"),
    yes: options.yes,
    json: options.json
  },
  Effect.fnUntraced(function* ({ olderThan, statuses = byDefault, ...input }) {
    const found = yield* countByStatus(statuses, olderThan)
    const expected = found.reduce((sum, [, tasks]) => sum + tasks, 0)
    const kinds = found
      .filter(([, tasks]) => tasks > 0)
      .map(([status, tasks]) => `${number(tasks)} ${status}`)
      .join(", ")
    if (expected > 0 && !input.dryRun) {
      yield* confirm({
        what: `${count(expected, "task")} (${kinds})`,
        yes: input.yes
      })
    }
    const deleted =
      expected === 0 || input.dryRun ? 0 : yield* TaskStore.use((store) => store.prune({ statuses, olderThan }))
    if (input.json) {
      return yield* printJson(Result, { deleted: input.dryRun ? expected : deleted, dryRun: input.dryRun })
    }
    if (expected === 0) return yield* printMessage(safe`No tasks to delete.`)
    yield* writeLine(
      input.dryRun
        ? safe`${count(expected, "task")} would be deleted (${kinds}).`
        : safe`${count(deleted, "task")} deleted.${kept(expected - deleted)}`
    )
  })
).pipe(
  Command.withDescription(
    "Delete finished tasks with their results and history. Asks for confirmation unless --yes is given. Failed tasks are kept unless --status includes them. Tasks that pending tasks wait for are always kept."
  ),
  Command.withShortDescription("Delete finished tasks"),
  Command.withExamples([
    { command: "baton prune --older-than 7d", description: "Delete completed and cancelled tasks after a week" },
    { command: "baton prune --status completed,failed,cancelled --yes", description: "Delete all finished tasks" },
    { command: "baton prune --older-than 30d --dry-run", description: "Only count the tasks" }
  ]),
  Command.provide(store.layerExisting)
)

const kept = (tasks: number): string =>
  tasks <= 0 ? "" : ` ${count(tasks, "task")} that pending tasks wait for ${tasks === 1 ? "was" : "were"} kept.`

/** Counts the tasks to delete by status. */
const countByStatus = (statuses: ReadonlyArray<Terminal>, olderThan: Duration.Duration | undefined) =>
  Effect.gen(function* () {
    if (olderThan === undefined) {
      const counts = yield* TaskStore.use((store) => store.counts)
      return statuses.map((status) => [status, counts[status]] as const)
    }
    const latest = (yield* Clock.currentTimeMillis) - Duration.toMillis(olderThan)
    return yield* Effect.forEach(statuses, (status: TaskStatus) =>
      Effect.map(
        Stream.runFold(
          pages({ status, results: false }),
          () => 0,
          (sum, task) => (task.updatedAt.epochMilliseconds <= latest ? sum + 1 : sum)
        ),
        (tasks) => [status, tasks] as const
      )
    )
  })
