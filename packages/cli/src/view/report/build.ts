/** Builds the report on the tasks of a store. */
import * as Report from "@baton/core/Report"
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { StoreUrl } from "../../settings/flags.ts"
import { commandName, withoutPassword } from "../commandLine.ts"
import { canvas } from "../stdout.ts"

/** The formats of a report. */
export const formats = ["text", "md", "html"] as const

type Format = (typeof formats)[number]

/** The format for the extension of a file. */
export const formatOf = (output: string | undefined): Format =>
  output === undefined ? "text" : /\.html?$/i.test(output) ? "html" : /\.(?:md|markdown)$/i.test(output) ? "md" : "text"

/** A report on the tasks of the store. */
export const build = Effect.fnUntraced(function* (format: Format) {
  const store = yield* TaskStore
  const about = { store: withoutPassword(yield* StoreUrl), command: yield* commandName }
  switch (format) {
    case "html": {
      const { html } = yield* Effect.promise(() => import("./html.ts"))
      const { Details } = yield* Effect.promise(() => import("./Details.ts"))
      const details = new Details(yield* Clock.currentTimeMillis)
      const report = yield* Report.make(store, { onRecord: (record) => details.add(record) })
      return html(report, details, about)
    }
    case "md": {
      const { markdown } = yield* Effect.promise(() => import("./text.ts"))
      return markdown(yield* Report.make(store), about)
    }
    case "text": {
      const { text } = yield* Effect.promise(() => import("./text.ts"))
      const report = yield* Report.make(store)
      return `${text(report, about, yield* canvas).join("\n")}\n`
    }
  }
})
