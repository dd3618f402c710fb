/**
 * `baton import`
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Kind from "../settings/Kind.ts"
import * as ownFlag from "../settings/ownFlag.ts"
import { json } from "../settings/taskFlags.ts"
import { writeLine } from "../view/stdout.ts"
import { count, number } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import { Format } from "../sources/Format.ts"
import { importSources } from "../sources/importSources.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"

const counts = {
  added: Schema.Int,
  /** In the store before, or repeated in the sources. */
  existing: Schema.Int,
  /** Over already: ticked, or saved as completed or cancelled. */
  skipped: Schema.Int
}

const Counts = Schema.Struct(counts)

const Result = Schema.Struct({
  ...counts,
  sources: Schema.Array(Schema.Struct({ source: Schema.String, ...counts }))
})

/**
 * Imports lists of work.
 *
 * @category commands
 * @since 0.1.0
 */
export const importCommand = Command.make(
  "import",
  {
    sources: Argument.String("SOURCE").pipe(
      Argument.withDescription("Files with tasks (.jsonl, .json, .csv, .tsv, .yaml, .md, .txt); - is standard input"),
      Argument.variadic({ min: 1 })
    ),
    template: ownFlag.value(
      "template",
      Kind.text("TEXT", "a text with the names of columns in it, such as 'Summarise {{title}}'"),
      "Build each description from its record, such as 'Summarise {{title}}'"
    ),
    format: ownFlag.value("format", Kind.oneOf(...Format.literals), "Read all sources so, whatever their names say"),
    json
  },
  Effect.fnUntraced(function* ({ format, sources, template, ...input }) {
    const { perSource, warnings, ...total } = yield* importSources(sources, { format, template })
    yield* Effect.forEach(warnings, (warning) => Console.error(safeText(warning)), { discard: true })
    if (input.json) return yield* printJson(Result, { ...total, sources: perSource })
    const lines = perSource.map((result) => `${safeText(result.source)}: ${sentence(result)}`)
    yield* writeLine((perSource.length === 1 ? lines : [...lines, `Together: ${sentence(total)}`]).join("\n"))
  })
).pipe(
  Command.withDescription(
    "Add the tasks of files to the store. Importing a file again adds what is new in it and nothing else; if a line is wrong, nothing is added at all."
  ),
  Command.withShortDescription("Add the tasks of files"),
  Command.withExamples([
    { command: "baton import tasks.jsonl", description: "A task a line" },
    { command: "baton import books.csv --template 'Summarise {{title}}'", description: "A task a row" },
    {
      command: "gh issue list --json title | baton import - --format json --template '{{title}}'",
      description: "From a pipe"
    }
  ]),
  Command.provide(store.layer)
)

const sentence = ({ added, existing, skipped }: typeof Counts.Type): string =>
  [
    `${count(added, "task")} added`,
    ...(existing === 0 ? [] : [`${number(existing)} there before`]),
    ...(skipped === 0 ? [] : [`${number(skipped)} over already`])
  ].join(", ")
