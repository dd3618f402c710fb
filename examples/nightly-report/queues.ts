/** The paid work: each queue has its own workers, retries, verification and budget. */
import { TaskQueue } from "@baton/core"
import { Schema } from "effect"

export const Pages = TaskQueue.make({
  name: "pages",
  payload: Schema.Struct({ url: Schema.String }),
  result: Schema.Struct({ text: Schema.NonEmptyString })
})

export const Summaries = TaskQueue.make({
  name: "summaries",
  payload: Schema.Struct({ text: Schema.String }),
  result: Schema.Struct({ summary: Schema.NonEmptyString })
})

export const Reports = TaskQueue.make({
  name: "reports",
  payload: Schema.Struct({ date: Schema.String, summaries: Schema.Array(Schema.String) }),
  result: Schema.Struct({ report: Schema.NonEmptyString }),
  describe: ({ date, summaries }) => `The report of ${date}, from ${summaries.length} summaries`
})

export const Publications = TaskQueue.make({
  name: "publications",
  payload: Schema.Struct({ date: Schema.String, report: Schema.String }),
  result: Schema.Struct({ file: Schema.String })
})
