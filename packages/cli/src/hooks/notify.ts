/** Posts one message about a run, when it has ended, to Slack, Discord or any other receiver. */
import { Stats } from "@baton/core/Stats"
import { StopReason } from "@baton/core/StopReason"
import { Counts, TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ValueOf } from "../settings/settings.ts"
import { toLine } from "../view/notices.ts"
import { count, usage } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import * as Style from "../view/style.ts"
import { headline } from "../view/summary.ts"
import * as Delivery from "./Delivery.ts"
import * as Post from "./post.ts"

/** The details of a run in a message, besides its result. */
export interface RunInfo {
  readonly queues: ReadonlyArray<string>
  /** Whether the run waits for new tasks, as a worker does. */
  readonly endless: boolean
}

/** The format of a message. */
export type Format = ValueOf<"notifyFormat">

/** The body in the format `json`. */
export const Notification = Schema.Struct({
  event: Schema.Literal("RunEnded"),
  /** The lists that were run. */
  queues: Schema.Array(Schema.String),
  /** The message for people, in several lines. */
  text: Schema.String,
  reason: StopReason,
  /** The statistics of the run. */
  stats: Stats,
  /** All tasks of the lists. */
  counts: Counts,
  /** The path of the report; null without one. */
  report: Schema.NullOr(Schema.String)
})

export interface Notification extends Schema.Schema.Type<typeof Notification> {}

/** The format that the host of a URL expects. */
export const formatOf = ({ hostname }: URL): Format => {
  if (/(?:^|\.)slack(?:-gov)?\.com$/.test(hostname)) return "slack"
  return /(?:^|\.)discord(?:app)?\.com$/.test(hostname) ? "discord" : "json"
}

/** Posts the message when the run has ended. */
export const make = Effect.fnUntraced(function* ({
  endless,
  format,
  name,
  queues,
  report,
  ...target
}: Post.Target &
  RunInfo & {
    readonly name: string
    readonly format: Format
    readonly report: string | null
  }): Effect.fn.Return<Delivery.Delivery, never, TaskStore | Scope.Scope> {
  const post = yield* Post.make(target)
  const store = yield* TaskStore
  return yield* Delivery.make({
    name,
    wants: ({ _tag }) => _tag === "RunEnded",
    concurrency: 1,
    deliver: Effect.fnUntraced(function* (event) {
      if (event._tag !== "RunEnded") return
      const { reason, stats } = event
      const counts = yield* Effect.mapError(
        store.counts,
        ({ message }) => new Delivery.DeliveryFailed({ message: "The tasks could not be counted", detail: message })
      )
      const about = { queues, reason, stats, counts, report }
      const text = textOf(about, { endless })
      yield* post(bodyOf(format, { event: "RunEnded", ...about, text }))
    })
  })
})

/** The message: the result in one line, then the usage of the run, the tasks left, and the report. */
const textOf = (
  { counts, queues, reason, report, stats }: Omit<Notification, "event" | "text">,
  options: { readonly endless: boolean }
): string => {
  const { mark, text } = headline({ counts, reason, stats }, options)
  const failed = stats.tasksRetried + stats.tasksFailed
  const left = counts.pending + counts.in_progress
  const lines: ReadonlyArray<readonly [string, string | undefined]> = [
    ["attempts", failed === 0 ? undefined : `${count(stats.tasksStarted, "attempt")}, ${failed} of them failed`],
    ["used", stats.usage === undefined ? undefined : usage(stats.usage)],
    ["failed", counts.failed === 0 ? undefined : `${count(counts.failed, "task")}, in the dead-letter queue`],
    ["in review", counts.in_review === 0 ? undefined : `${count(counts.in_review, "output")} for a person`],
    ["left", left === 0 ? undefined : count(left, "task")],
    ["error", reason._tag === "Failed" ? safeText(reason.message).slice(0, maxError) : undefined],
    ["report", report ?? undefined]
  ]
  return [
    toLine({ mark, text: `${queues.join(", ")}: ${text}` }, { style: Style.none, columns: Infinity }),
    ...lines.flatMap(([label, value]) => (value === undefined ? [] : [`${label}: ${safeText(value)}`]))
  ].join("\n")
}

const maxError = 500

/** Discord refuses longer messages. */
const maxDiscord = 2000

const bodyOf = (format: Format, message: Notification): string => {
  switch (format) {
    case "json":
      return encode(message)
    case "slack":
      // A queue or an error can contain what Slack reads as markup, such as <!channel>.
      return JSON.stringify({ text: escapeSlack(message.text), mrkdwn: false, unfurl_links: false })
    case "discord":
      return JSON.stringify({
        content: message.text.replaceAll(/[\\*_~`|<>[\]]/g, String.raw`\$&`).slice(0, maxDiscord),
        allowed_mentions: { parse: [] }
      })
  }
}

const escapeSlack = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const encode = Schema.encodeSync(Schema.fromJsonString(Notification))
