/** `baton status` */
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { statusFlags } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import { canvas, writeLines } from "../view/stdout.ts"
import { isDumb } from "../view/terminal.ts"
import * as Snapshot from "../view/status.ts"
import { statusReport } from "../view/status.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { redraw, untilQuit } from "../view/Screen.ts"

const everySecond = Schedule.fixed("1 second")
const everyTenSeconds = Schedule.fixed("10 seconds")

/** Shows the progress of the tasks. */
export const status = Command.make(
  "status",
  {
    json: options.json,
    watch: options.toggle("watch", "Update every second until q or Ctrl-C"),
    ...statusFlags
  },
  Effect.fnUntraced(function* (input) {
    const printed = input.json
      ? Effect.flatMap(Snapshot.read, (snapshot) => printJson(Snapshot.Snapshot, snapshot))
      : Effect.flatMap(report, writeLines)
    if (!input.watch) return yield* printed
    const stdio = yield* Stdio.Stdio
    if (input.json || !(yield* stdio.stdoutIsTerminal)) return yield* Effect.repeat(printed, everySecond)
    if (input.plain || (yield* isDumb)) return yield* plain
    yield* untilQuit(yield* drawing)
    // The view was drawn on the alternate screen, which is closed now.
    yield* printed
  })
).pipe(
  Command.withDescription(
    "Show the number of tasks by status, the longest-running task, the causes of failures, and the commands to type next."
  ),
  Command.withShortDescription("Show the progress"),
  Command.withExamples([
    { command: "baton status", description: "Show the progress once" },
    { command: "baton status --watch", description: "Update it every second" },
    { command: "baton status --json | jq .counts.failed", description: "Print the number of failed tasks" }
  ]),
  Command.provide(store.layerExisting)
)

const storeView = Effect.promise(() => import("../view/live/storeView.ts"))

const drawing = Effect.gen(function* () {
  const { renderView } = yield* Effect.promise(() => import("../view/live/renderView.ts"))
  const read = yield* (yield* storeView).make
  const { style } = yield* canvas
  const terminal = yield* Terminal.Terminal
  const draw = Effect.gen(function* () {
    const view = yield* read
    const [columns, rows] = [yield* terminal.columns, yield* terminal.rows]
    yield* redraw(renderView(view, { columns: columns || 80, rows: rows || 24 }, style))
  })
  return Effect.repeat(draw, everySecond)
})

const plain = Effect.gen(function* () {
  let last: string | undefined
  const { make, toText } = yield* storeView
  const read = yield* make
  const printChange = Effect.flatMap(read, (view) => {
    const text = toText(view)
    if (text === last) return Effect.void
    last = text
    return writeLines([text])
  })
  return yield* Effect.repeat(printChange, everyTenSeconds)
})

const report = Effect.gen(function* () {
  return statusReport(yield* Snapshot.read, yield* canvas, {
    command: yield* commandName,
    now: yield* Clock.currentTimeMillis
  })
})
