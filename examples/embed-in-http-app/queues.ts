/** The queues of the app. Adding and awaiting need these definitions and a store, but no worker. */
import { TaskQueue } from "@baton/core"
import { Schema } from "effect"

export const Summaries = TaskQueue.make({
  name: "summaries",
  payload: Schema.Struct({ text: Schema.NonEmptyString }),
  result: Schema.Struct({ summary: Schema.NonEmptyString }),
  describe: ({ text }) => `Summarise: ${text}`
})

/** Translates the summary of an article: each task depends on one of `Summaries`. */
export const Translations = TaskQueue.make({
  name: "translations",
  payload: Schema.Struct({ language: Schema.NonEmptyString }),
  result: Schema.Struct({ translation: Schema.NonEmptyString }),
  describe: ({ language }) => `Translate the summary into ${language}`
})
