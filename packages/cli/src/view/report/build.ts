/** Builds the report on the tasks of a store. */
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { StoreUrl } from "../../settings/flags.ts"
import { records } from "../../system/pages.ts"
import { commandName, withoutPassword } from "../commandLine.ts"
import { canvas } from "../stdout.ts"

/** The formats of a report. */
export const formats = ["text", "md", "html"] as const

type Format = (typeof formats)[number]

/** The format for the extension of a file. */
export const formatOf = (output: string | undefined): Format =>
  output === undefined ? "text" : /\.html?$/i.test(output) ? "html" : /\.(?:md|markdown)$/i.test(output) ? "md" : "text"

/** Records have less in memory than a page of tasks, because each has all attempts. */
const maxPageSize = 500

const gather = Effect.gen(function* () {
  const { Report } = yield* Effect.promise(() => import("./Report.ts"))
  const tasks = yield* TaskStore
  const gathered = new Report(yield* Clock.currentTimeMillis)
  yield* Stream.runForEach(records(tasks, { maxPageSize }), (record) => Effect.sync(() => gathered.add(record)))
  return gathered
})

/** A report on the tasks of the store. */
export const build = Effect.fnUntraced(function* (format: Format) {
  const gathered = yield* gather
  const about = { store: withoutPassword(yield* StoreUrl), command: yield* commandName }
  switch (format) {
    case "html": {
      const { html } = yield* Effect.promise(() => import("./html.ts"))
      return html(gathered, about)
    }
    case "md": {
      const { markdown } = yield* Effect.promise(() => import("./text.ts"))
      return markdown(gathered, about)
    }
    case "text": {
      const { text } = yield* Effect.promise(() => import("./text.ts"))
      return `${text(gathered, about, yield* canvas).join("\n")}\n`
    }
  }
})
