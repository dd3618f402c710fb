/** Each night: fetch the pages, summarise them, write a report, wait for a person, publish. */
import { Review, Schedules, TaskActivity } from "@baton/adapters/workflow"
import { DateTime, Effect, Layer, Schema } from "effect"
import { Workflow } from "effect/workflow"
import { Pages, Publications, Reports, Summaries } from "./queues.ts"

/** The version is part of the tag: an execution continues with the steps with which it began. */
export const Nightly = Workflow.make("Nightly/1", {
  payload: { date: Schema.String },
  idempotencyKey: ({ date }) => date,
  success: Schema.String,
  error: TaskActivity.Failed
})

const schedule = Schedules.layer(Nightly, {
  cron: "0 2 * * *",
  timezone: "Europe/Berlin",
  payload: (time) => ({ date: DateTime.formatIsoDateUtc(time) }),
  catchUp: "24 hours"
})

const summarise = Effect.fnUntraced(function* (url: string) {
  const { text } = yield* TaskActivity.make(Pages, { name: `fetch ${url}`, payload: { url } })
  const { summary } = yield* TaskActivity.make(Summaries, { name: `summarise ${url}`, payload: { text } })
  return summary
})

/** The workflow and its schedule, for every process that takes part. */
export const nightly = (urls: ReadonlyArray<string>) =>
  Nightly.toLayer(
    Effect.fnUntraced(function* ({ date }) {
      const summaries = yield* Effect.forEach(urls, summarise, { concurrency: "unbounded" })
      const { report } = yield* Review.gate(Reports, { name: "report", payload: { date, summaries } })
      const { file } = yield* TaskActivity.make(Publications, { name: "publish", payload: { date, report } })
      return file
    })
  ).pipe(Layer.merge(schedule), Layer.provide(Review.layer))
