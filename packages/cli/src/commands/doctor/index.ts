/**
 * `baton doctor`
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EndedWith, exitCodes } from "../../system/CommandFailed.ts"
import * as ownFlag from "../../settings/ownFlag.ts"
import { runFlags } from "../../settings/runFlags.ts"
import { json } from "../../settings/taskFlags.ts"
import { canvas, writeLine } from "../../view/stdout.ts"
import { printJson } from "../../view/json.ts"

const { exec, executor, judgeModel, model, noVerify, shell, verifier, verify } = runFlags

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

/**
 * Looks at everything that a run would need, or tells which settings apply.
 *
 * @category commands
 * @since 0.1.0
 */
export const doctor = Command.make(
  "doctor",
  {
    exec,
    shell,
    executor,
    verify,
    verifier,
    noVerify,
    model,
    judgeModel,
    config: ownFlag.toggle("config", "Tell which settings apply, and where each comes from"),
    json
  },
  Effect.fnUntraced(function* (input) {
    const report = yield* Effect.promise(() => import("../../view/doctorReport.ts"))
    if (input.config) {
      const { applied } = yield* Effect.promise(() => import("./settings.ts"))
      const settings = yield* applied
      if (input.json) yield* printJson(Settings, settings)
      else for (const line of report.settingLines(settings, yield* canvas)) yield* writeLine(line)
      return yield* endWith(settings.every(({ problem }) => problem === null))
    }
    const { examine } = yield* Effect.promise(() => import("./checks.ts"))
    const sections = yield* examine(input)
    const all = sections.flatMap(({ found, title }) => found.map((diagnosis) => ({ section: title, ...diagnosis })))
    if (input.json) yield* printJson(Report, all)
    else for (const line of report.sectionLines(sections, yield* canvas)) yield* writeLine(line)
    return yield* endWith(all.every(({ status }) => status !== "fail"))
  })
).pipe(
  Command.withDescription(
    "Look at everything that a run would need: Node, the configuration, the store and whether it keeps what it promises, the program or the model that does a task, and what checks it. Nothing is written and nothing is spent.\n\n" +
      "Exit codes: 0 nothing is in the way of a run; 1 something is."
  ),
  Command.withShortDescription("Check that a run has all it needs"),
  Command.withExamples([
    { command: "baton doctor --exec 'claude -p'", description: "Before the first run" },
    { command: "baton doctor --store postgres://db/work", description: "Whether a store is fit for it" },
    { command: "baton doctor --config", description: "Which settings apply here, and why" }
  ])
)

const endWith = (isWell: boolean) => (isWell ? Effect.void : Effect.fail(new EndedWith({ exitCode: exitCodes.error })))
