/** `baton doctor` */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import * as options from "../settings/commandFlags.ts"
import { applied, doctorFlags } from "../settings/flags.ts"
import type { SettingName } from "../settings/settings.ts"
import { withoutPassword } from "../view/commandLine.ts"
import { firstLine } from "../view/safeText.ts"
import { canvas, writeLines } from "../view/stdout.ts"
import { printJson } from "../view/json.ts"

const Report = Schema.Array(
  Schema.Struct({
    section: Schema.String,
    ...Diagnosis.Diagnosis.fields
  })
)

const Settings = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    value: Schema.String,
    from: Schema.String,
    problem: Schema.NullOr(Schema.String)
  })
)

/** Checks everything that a run needs, or lists the settings in effect. */
export const doctor = Command.make(
  "doctor",
  {
    ...doctorFlags,
    config: options.toggle("config", "List the settings in effect and where each comes from"),
    json: options.json
  },
  Effect.fnUntraced(function* (input) {
    const report = yield* Effect.promise(() => import("../view/doctorReport.ts"))
    if (input.config) {
      const settings = (yield* applied).map(({ from, name, problem, value }) => ({
        name,
        value: firstLine(withoutSecrets(name, value)),
        from,
        problem
      }))
      if (input.json) yield* printJson(Settings, settings)
      else yield* writeLines(report.settingLines(settings, yield* canvas))
      return yield* endWith(settings.every(({ problem }) => problem === null))
    }
    const { examine } = yield* Effect.promise(() => import("./doctorChecks.ts"))
    const sections = yield* examine(input)
    const all = sections.flatMap(({ found, title }) => found.map((diagnosis) => ({ section: title, ...diagnosis })))
    if (input.json) yield* printJson(Report, all)
    else yield* writeLines(report.sectionLines(sections, yield* canvas))
    return yield* endWith(all.every(({ status }) => status !== "fail"))
  })
).pipe(
  Command.withDescription(
    "Check everything that a run needs: Node, the configuration, the store and its durability, the program or model that executes tasks, and the one that verifies outputs. The command writes nothing and costs nothing.\n\n" +
      "Exit codes: 0 everything is ready for a run; 1 there is a problem."
  ),
  Command.withShortDescription("Check that everything is ready for a run"),
  Command.withExamples([
    { command: "baton doctor --exec 'claude -p'", description: "Check before the first run" },
    { command: "baton doctor --store postgres://db/work", description: "Check a store" },
    { command: "baton doctor --config", description: "List the settings in effect and their sources" }
  ])
)

/** The path of a webhook's address is a secret: who knows it can post there. */
const withoutSecrets = (name: SettingName, value: string): string => {
  const url = name === "webhook" || name === "notify" ? URL.parse(value) : null
  return url === null ? withoutPassword(value) : `${url.origin}/…`
}

const endWith = (isReady: boolean) =>
  isReady ? Effect.void : Effect.fail(new EndedWith({ exitCode: exitCodes.error }))
