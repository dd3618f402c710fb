/** `baton report` */
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Kind from "../settings/Kind.ts"
import * as options from "../settings/options.ts"
import { StoreUrl } from "../settings/flags.ts"
import { canvas, writeAll } from "../view/stdout.ts"
import { safe } from "../view/safeText.ts"
import type { About } from "../view/report/figures.ts"
import type { Report } from "../view/report/Report.ts"
import * as store from "../run/stores.ts"
import { commandName, withoutPassword } from "../view/commandLine.ts"
import { records } from "../system/pages.ts"
import { unknownExtension, writeFile } from "../system/writeFile.ts"
import { printMessage } from "../view/stderr.ts"

const extensions = [".txt", ".md", ".markdown", ".html", ".htm"]

const formats = ["text", "md", "html"] as const

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
    const gathered = yield* gather
    const about = { store: withoutPassword(yield* StoreUrl), command: yield* commandName }
    const text = yield* render(format ?? formatOf(output), gathered, about)
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

const formatOf = (output: string | undefined): (typeof formats)[number] =>
  output === undefined ? "text" : /\.html?$/i.test(output) ? "html" : /\.(?:md|markdown)$/i.test(output) ? "md" : "text"

/** Records can be large, so only one page is in memory at a time. */
const pageSize = 50

const gather = Effect.gen(function* () {
  const { Report } = yield* Effect.promise(() => import("../view/report/Report.ts"))
  const tasks = yield* TaskStore
  const gathered = new Report(yield* Clock.currentTimeMillis)
  yield* Stream.runForEach(records(tasks, { pageSize }), (record) => Effect.sync(() => gathered.add(record)))
  return gathered
})

const render = Effect.fnUntraced(function* (format: (typeof formats)[number], gathered: Report, about: About) {
  switch (format) {
    case "html": {
      const { html } = yield* Effect.promise(() => import("../view/report/html.ts"))
      return html(gathered, about)
    }
    case "md": {
      const { markdown } = yield* Effect.promise(() => import("../view/report/text.ts"))
      return markdown(gathered, about)
    }
    case "text": {
      const { text } = yield* Effect.promise(() => import("../view/report/text.ts"))
      return `${text(gathered, about, yield* canvas).join("\n")}\n`
    }
  }
})
