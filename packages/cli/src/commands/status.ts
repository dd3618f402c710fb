/**
 * `baton status`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stdio from "effect/Stdio"
import * as ownFlag from "../flags/ownFlag.ts"
import { json } from "../flags/taskFlags.ts"
import { canvas } from "../format/canvas.ts"
import { writeLine } from "../output/stdout.ts"
import { statusReport } from "../format/statusReport.ts"
import * as store from "../store/storeFromUrl.ts"
import { commandName } from "../tasks/commandName.ts"
import { printJson } from "../tasks/printJson.ts"
import { redraw, untilQuit } from "../tasks/redraw.ts"
import * as Snapshot from "../tasks/snapshot.ts"

const everySecond = Schedule.fixed("1 second")

/**
 * Tells where the work stands.
 *
 * @category commands
 * @since 0.1.0
 */
export const status = Command.make(
  "status",
  { json, watch: ownFlag.toggle("watch", "Go on telling, every second, until q or Ctrl-C") },
  Effect.fnUntraced(function* (input) {
    const printed = input.json
      ? Effect.flatMap(Snapshot.read({ watching: input.watch }), (snapshot) => printJson(Snapshot.Snapshot, snapshot))
      : Effect.flatMap(report(false), (lines) => writeLine(lines.join("\n")))
    if (!input.watch) return yield* printed
    const stdio = yield* Stdio.Stdio
    if (input.json || !(yield* stdio.stdoutIsTerminal)) return yield* Effect.repeat(printed, everySecond)
    yield* untilQuit(Effect.flatMap(report(true), redraw).pipe(Effect.repeat(everySecond)))
    // The screen it was drawn on is gone now.
    yield* printed
  })
).pipe(
  Command.withDescription(
    "Tell how many tasks there are of each status, what has been running longest, why tasks failed, and what to type next."
  ),
  Command.withShortDescription("Tell where the work stands"),
  Command.withExamples([
    { command: "baton status", description: "Now" },
    { command: "baton status --watch", description: "Every second" },
    { command: "baton status --json | jq .counts.failed", description: "One number, for a script" }
  ]),
  Command.provide(store.layerExisting)
)

const report = Effect.fnUntraced(function* (watching: boolean) {
  return statusReport(yield* Snapshot.read({ watching }), yield* canvas, { command: yield* commandName, watching })
})
