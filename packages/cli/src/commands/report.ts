/** `baton report` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { writeAll } from "../view/stdout.ts"
import { safe } from "../view/safeText.ts"
import { build, formatOf, formats } from "../view/report/build.ts"
import * as store from "../run/stores.ts"
import { unknownExtension, writeFile } from "../view/writeFile.ts"
import { printMessage } from "../view/stderr.ts"

const extensions = [".txt", ".md", ".markdown", ".html", ".htm"]

/** Reports the results of all tasks in a store. */
export const report = Command.make(
  "report",
  {
    format: options.value("format", Kind.oneOf(...formats), "The format (default: that of FILE's extension, or text)"),
    output: options.value(
      "output",
      Kind.text("FILE", "the path of a file, or - for standard output"),
      "Write to this file, which is replaced when all is written",
      { alias: "o" }
    )
  },
  Effect.fnUntraced(function* ({ format, output }) {
    const text = yield* build(format ?? formatOf(output))
    if (output === undefined || output === "-") return yield* writeAll(Stream.succeed(text))
    yield* writeFile(output, Stream.succeed(text))
    yield* printMessage(safe`Report written to ${output}.`)
  })
).pipe(
  Command.validate(({ format, output }) => {
    const refused = format === undefined && output !== undefined ? unknownExtension(output, extensions) : undefined
    return refused === undefined ? Effect.void : Effect.fail(refused)
  }),
  Command.withDescription(
    "Report on all tasks: failures and their causes, attempts, time, tokens and cost. The HTML report is a self-contained file with a timeline and the history of tasks that failed or needed the most attempts."
  ),
  Command.withShortDescription("Report results, failures, time and cost"),
  Command.withExamples([
    { command: "baton report", description: "Print the report" },
    { command: "baton report -o report.html", description: "Write a page with a timeline" }
  ]),
  Command.provide(store.layerExisting)
)
