/** `baton schedule` */
import * as CronExpression from "@baton/core/CronExpression"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as options from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"
import * as store from "../run/stores.ts"
import * as Schedule from "../schedules/Schedule.ts"
import { queueOf } from "../sources/queueOf.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { nearest } from "../system/nearest.ts"
import { quoted } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { firstLine, safe, safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { canvas, writeLine, writeLines } from "../view/stdout.ts"
import * as Table from "../view/table.ts"

/** The commands that a schedule can run: those that end. */
const runnable = ["run", "import", "verify", "export", "report", "prune"]

const nameKind: Kind.Kind<string> = {
  metavar: "NAME",
  expected: "a name of 1 to 80 characters, without @ and control characters",
  read: (text) => (/^[^@\p{C}]{1,80}$/u.test(text) && text.trim() === text ? text : undefined)
}

const name = options.argument(nameKind, "The schedule")

const add = Command.make(
  "add",
  {
    cron: Argument.String("CRON").pipe(
      Argument.withDescription("When: minute, hour, day of the month, month and weekday, such as '0 2 * * *'")
    ),
    command: Argument.String("COMMAND").pipe(
      Argument.withDescription("What: a command of baton and its arguments, after --, such as -- run pages.csv"),
      Argument.variadic({ min: 1 })
    ),
    timezone: options.value(
      "timezone",
      Kind.text("ZONE", "a time zone such as Europe/Berlin"),
      "The time zone of the expression (default: that of this machine)"
    ),
    name: options.value("name", nameKind, "The name of the schedule (default: that of the first source)"),
    missed: options.value(
      "missed",
      Kind.oneOf(...Schedule.missedPolicies),
      "What to do with ticks whose time passed while no scheduler ran: skip them, run one for all, or run all (default once)"
    ),
    overlap: options.value(
      "overlap",
      Kind.oneOf(...Schedule.overlapPolicies),
      "What to do while the command of the last tick is still running: skip the tick, queue it, or cancel the command (default skip)"
    )
  },
  Effect.fnUntraced(function* ({ command, cron, missed = "once", overlap = "skip", ...input }) {
    const [first = "", ...args] = command
    if (!runnable.includes(first)) {
      return yield* new CliError.ValidationError({
        message: `A schedule cannot run "${first}": it takes one of ${runnable.join(", ")}, as in \`baton schedule add '0 2 * * *' -- run pages.csv\`.`
      })
    }
    const timezone = input.timezone ?? DateTime.zoneToString(DateTime.zoneMakeLocal())
    const parsed = CronExpression.parse(cron, timezone)
    if (Result.isFailure(parsed)) return yield* new CliError.ValidationError({ message: parsed.failure })
    const source = args.find((arg) => !arg.startsWith("-"))
    const chosen = input.name ?? nameKind.read(source === undefined ? first : queueOf(source)) ?? first
    const definition: Schedule.Definition = { name: chosen, cron, timezone, args: command, missed, overlap }
    if ((yield* Schedule.ticks()).has(chosen)) {
      return yield* new CommandFailed({
        message: `There is already a schedule ${safeText(chosen)}. Remove it first with \`baton schedule remove ${safeText(quoted(chosen))}\`, or give this one another name with --name.`
      })
    }
    const next = yield* Effect.catchTag(Schedule.start(definition), "InvalidPayload", Effect.die)
    yield* writeLine(safe`${chosen}: next at ${local(next, timezone)}`)
    yield* printMessage(safe`Keep \`baton schedule run\` running on at least one machine: it runs the commands.`)
  })
).pipe(
  Command.withDescription(
    "Run a command of baton at the times of a cron expression. In its arguments, {{date}} is the day of the tick, such as 2026-11-30, and {{tick}} its time in UTC: a queue such as --queue 'nightly-{{date}}' lets a list run again every day.\n\n" +
      "The schedule is in the store. `baton schedule run` runs its commands. At the change to daylight-saving time, a time that does not exist is moved forward by an hour, and a time that exists twice happens once, unless it is of every hour."
  ),
  Command.withShortDescription("Add a schedule"),
  Command.withExamples([
    {
      command:
        "baton schedule add '0 2 * * *' --timezone Europe/Berlin -- run pages.csv --queue 'pages-{{date}}' --exec ./summarise",
      description: "Run a list every night at two"
    },
    {
      command: "baton schedule add '*/10 * * * *' --name issues -- import github:owner/repo --template '{{title}}'",
      description: "Import new issues every ten minutes"
    }
  ]),
  Command.provide(store.layer)
)

const local = (at: DateTime.Utc, timezone: string): string => {
  const zoned = DateTime.setZoneNamed(at, timezone)
  const text = Option.match(zoned, { onNone: () => DateTime.formatIso(at), onSome: DateTime.formatIsoOffset })
  return `${text.slice(0, 16).replace("T", " ")} (${timezone})`
}

const Listed = Schema.Struct({
  name: Schema.String,
  cron: Schema.String,
  timezone: Schema.String,
  command: Schema.Array(Schema.String),
  missed: Schema.Literals(Schedule.missedPolicies),
  overlap: Schema.Literals(Schedule.overlapPolicies),
  paused: Schema.Boolean,
  /** Null while the schedule is paused. */
  next: Schema.NullOr(Schema.DateTimeUtcFromString),
  running: Schema.Boolean,
  /** The tick that ended last. */
  last: Schema.NullOr(
    Schema.Struct({
      at: Schema.DateTimeUtcFromString,
      exitCode: Schema.NullOr(Schema.Int),
      skipped: Schema.NullOr(Schema.String)
    })
  )
})

type Listed = typeof Listed.Type

const lastOf = ({ last, running }: Listed): string => {
  if (running) return "running"
  if (last === null) return ""
  if (last.exitCode !== null) return `exit code ${last.exitCode}`
  return last.skipped === null ? "failed" : "skipped"
}

const columns: ReadonlyArray<Table.Column<Listed>> = [
  { header: "NAME", text: ({ name }) => firstLine(name), flexible: true },
  { header: "WHEN", text: ({ cron }) => firstLine(cron) },
  {
    header: "NEXT",
    text: ({ next, paused, timezone }) => (next === null || paused ? "paused" : local(next, timezone))
  },
  { header: "LAST", text: lastOf },
  { header: "COMMAND", text: ({ command }) => firstLine(["baton", ...command].map(quoted).join(" ")) }
]

const stored = Effect.map(Schedule.ticks(), (all) =>
  [...all.values()].flatMap((ticks) => {
    const found = Schedule.fromTicks(ticks)
    if (found === undefined) return []
    const { definition, isRunning, last, next } = found
    const { args, ...rest } = definition
    const listed: Listed = {
      ...rest,
      command: args,
      paused: next === null && !isRunning,
      next,
      running: isRunning,
      last:
        last === null
          ? null
          : { at: last.at, exitCode: last.ended?.exitCode ?? null, skipped: last.ended?.skipped ?? null }
    }
    return [{ listed, definition, ticks }]
  })
)

const list = Command.make(
  "list",
  { json: options.json },
  Effect.fnUntraced(function* ({ json }) {
    const all = (yield* stored).map(({ listed }) => listed)
    if (json) return yield* printJson(Schema.Array(Listed), all)
    if (all.length === 0) {
      return yield* printMessage(
        safe`There are no schedules. Add one, as in \`baton schedule add '0 2 * * *' -- run pages.csv\`.`
      )
    }
    const lines = yield* Stream.runCollect(Table.lines(() => columns, yield* canvas)(Stream.fromIterable(all)))
    yield* writeLines(lines)
  })
).pipe(
  Command.withDescription("List the schedules of the store, with their next and last ticks."),
  Command.withShortDescription("List the schedules"),
  Command.withExamples([{ command: "baton schedule list", description: "Show when each schedule runs next" }]),
  Command.provide(store.layerAllQueues)
)

/** The schedule with this name. */
const find = Effect.fnUntraced(function* (name: string) {
  const all = yield* stored
  const found = all.find(({ definition }) => definition.name === name)
  if (found !== undefined) return found
  const names = all.map(({ definition }) => definition.name)
  const [close] = nearest(name, names)
  const hint =
    names.length === 0
      ? "There are none."
      : close === undefined
        ? `The schedules are ${names.slice(0, 8).map(safeText).join(", ")}.`
        : `Did you mean ${safeText(close)}?`
  return yield* new CommandFailed({ message: `There is no schedule ${safeText(name)}. ${hint}` })
})

const pause = Command.make(
  "pause",
  { name },
  Effect.fnUntraced(function* ({ name }) {
    const { definition, ticks } = yield* find(name)
    yield* Effect.catchTag(Schedule.pause(ticks, definition), "InvalidPayload", Effect.die)
    yield* printMessage(safe`${name} is paused. Resume it with \`baton schedule resume ${quoted(name)}\`.`)
  })
).pipe(
  Command.withDescription("Pause a schedule until `baton schedule resume`. A command that is running continues."),
  Command.withShortDescription("Pause a schedule"),
  Command.withExamples([{ command: "baton schedule pause pages", description: "Stop a schedule for a while" }]),
  Command.provide(store.layerAllQueues)
)

const resume = Command.make(
  "resume",
  { name },
  Effect.fnUntraced(function* ({ name }) {
    const { definition, listed, ticks } = yield* find(name)
    if (!listed.paused) return yield* printMessage(safe`${name} is not paused.`)
    const next = yield* Effect.catchTag(Schedule.resume(ticks, definition), "InvalidPayload", Effect.die)
    yield* writeLine(safe`${name}: next at ${local(next, definition.timezone)}`)
  })
).pipe(
  Command.withDescription("Resume a schedule. Ticks that it missed while it was paused do not run."),
  Command.withShortDescription("Resume a paused schedule"),
  Command.withExamples([{ command: "baton schedule resume pages", description: "Continue a paused schedule" }]),
  Command.provide(store.layerAllQueues)
)

const remove = Command.make(
  "remove",
  { name },
  Effect.fnUntraced(function* ({ name }) {
    const { ticks } = yield* find(name)
    yield* Schedule.remove(ticks)
    yield* printMessage(safe`${name} was removed.`)
  })
).pipe(
  Command.withDescription("Remove a schedule and its history. A command that is running continues."),
  Command.withShortDescription("Remove a schedule"),
  Command.withExamples([{ command: "baton schedule remove pages", description: "Remove a schedule" }]),
  Command.provide(store.layerAllQueues)
)

const run = Command.make("run", {}, () =>
  Effect.flatMap(
    Effect.promise(() => import("../schedules/worker.ts")),
    ({ run }) => run
  )
).pipe(
  Command.withDescription(
    "Run the commands of all schedules of the store when they are due, until a signal or `baton stop`. Run it on one machine or on several: the store makes each tick happen once, and another machine takes over the command of one that died. Commands run in the directory of this process, with this store.\n\n" +
      "The commands come from the store, so everyone who can write to the store can run commands of baton as your user."
  ),
  Command.withShortDescription("Run the commands of the schedules"),
  Command.withExamples([
    { command: "baton schedule run", description: "Run the due schedules, and wait for the rest" }
  ]),
  Command.provide(store.layer)
)

/** Adds, shows and runs schedules. */
export const schedule = Command.make("schedule").pipe(
  Command.withDescription(
    "Run commands of baton at the times of a cron expression. Schedules are in the store, and `baton schedule run` runs them."
  ),
  Command.withShortDescription("Run commands at given times"),
  Command.withSubcommands([add, list, pause, resume, remove, run])
)
