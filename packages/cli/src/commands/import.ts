/** `baton import` */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { LogFormatFlag } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import * as importProgress from "../view/importProgress.ts"
import { writeLine } from "../view/stdout.ts"
import { importedText } from "../view/quantity.ts"
import { safe, safeText } from "../view/safeText.ts"
import { decideBy } from "../run/onChanged.ts"
import { sourceQueues } from "../run/queues.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"
import * as terminal from "../view/terminal.ts"
import { printWarning } from "../view/stderr.ts"

const counts = {
  added: Schema.Int,
  /** Already in the store, or repeated in the sources. */
  existing: Schema.Int,
  /** Already finished: checked off, or saved as completed or cancelled. */
  skipped: Schema.Int
}

const Result = Schema.Struct({
  ...counts,
  sources: Schema.Array(Schema.Struct({ source: Schema.String, ...counts }))
})

/** Imports lists of tasks. */
export const importCommand = Command.make(
  "import",
  {
    ...options.sourceOptions,
    json: options.json
  },
  Effect.fnUntraced(function* ({ json, ...reading }) {
    const sources = yield* options.allSources(reading)
    if (sources.length === 0) {
      return yield* new CliError.ValidationError({
        message: "There is nothing to import. Name a file, as in `baton import tasks.jsonl`."
      })
    }
    const { importSources } = yield* Effect.promise(() => import("../sources/importSources.ts"))
    const queueOf = yield* sourceQueues
    const shown = yield* terminal.stderr
    const { perSource, warnings, ...total } = yield* Effect.scoped(
      Effect.gen(function* () {
        const { onProgress, screen } = yield* importProgress.make(shown, {
          isHidden: (yield* LogFormatFlag) === "json"
        })
        return yield* importSources(sources, {
          ...reading,
          queueOf,
          decide: decideBy(reading.onChanged, screen, { quiet: json }),
          onProgress
        })
      })
    )
    const { style } = shown
    yield* Effect.forEach(warnings, (warning) => printWarning(safeText(warning), style), { discard: true })
    if (json) return yield* printJson(Result, { ...total, sources: perSource })
    const lines = perSource.map((result) => safe`${result.source}: ${importedText(result)}`)
    if (perSource.length > 1) lines.push(safe`Total: ${importedText(total)}`)
    yield* Effect.forEach(lines, writeLine, { discard: true })
  })
).pipe(
  Command.withDescription(
    "Add the tasks of files to the store. Importing a file again adds only new tasks. If any line has a problem, nothing is added."
  ),
  Command.withShortDescription("Add the tasks of files"),
  Command.withExamples([
    { command: "baton import tasks.jsonl", description: "Add one task per line" },
    { command: "baton import books.csv --template 'Summarise {{title}}'", description: "Add one task per row" },
    {
      command: "gh issue list --json title | baton import - --format json --template '{{title}}'",
      description: "Read from a pipe"
    }
  ]),
  Command.provide(store.layer)
)
