/** The contents of a report, independent of its format. */
import type { Group, Report } from "@baton/core/Report"
import * as Usage from "@baton/core/Usage"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import { moment } from "../../system/moment.ts"
import { cost, count, number, elapsed } from "../quantity.ts"

/** Information about the store of a report. */
export interface About {
  /** The store, without a password. */
  readonly store: string
  /** The command `baton` with the flags for this store. */
  readonly command: string
}

/** The result in one sentence. */
export const headline = ({ statuses, tasks }: Report): string => {
  if (tasks === 0) return "There are no tasks."
  const rest = [
    [statuses.failed, "failed"],
    [statuses.in_progress, "in progress"],
    [statuses.in_review, "in review"],
    [statuses.pending, "pending"],
    [statuses.cancelled, "cancelled"]
  ] as const
  const parts = rest.filter(([tasks]) => tasks > 0).map(([tasks, status]) => `${number(tasks)} ${status}`)
  return `${[`${number(statuses.completed)} of ${count(tasks, "task")} completed`, ...parts].join(", ")}.`
}

/** The main figures, as labels and values. */
export const figures = (report: Report): ReadonlyArray<readonly [label: string, value: string]> => {
  const { attempts, durations, outcomes, statuses, unverified, usage } = report
  const span = spanOf(report)
  const failedAttempts = (outcomes.retried ?? 0) + (outcomes.failed ?? 0)
  const lost = outcomes.lease_expired ?? 0
  const ended = statuses.completed + statuses.failed
  const list: ReadonlyArray<readonly [string, string | undefined]> = [
    ["Success", ended === 0 ? undefined : `${percent(statuses.completed / ended)} of finished tasks`],
    ["Unverified", unverified === 0 ? undefined : `${count(unverified, "task")} completed without verification`],
    ["Attempts", `${number(attempts)}${failedAttempts === 0 ? "" : `, ${number(failedAttempts)} failed`}`],
    ["Lost", lost === 0 ? undefined : `${count(lost, "attempt")} whose worker stopped responding`],
    [
      "Time per attempt",
      durations === undefined
        ? undefined
        : `${took(durations.median)} median, ${took(durations.percentile95)} at the 95th percentile`
    ],
    ["Total time", span === undefined ? undefined : `${took(span.until - span.from)}, ${range(span.from, span.until)}`],
    ["Tokens", usage === undefined ? undefined : tokens(usage)],
    ["Cost", usage === undefined ? undefined : cost(usage)]
  ]
  return list.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]))
}

/** The attempts by worker, if there are several workers. */
export const workers = ({ workers }: Report): ReadonlyArray<Group> => (workers.length > 1 ? workers : [])

/** From the start of the first attempt to the end of the last one, in milliseconds since the epoch. */
export const spanOf = ({ span }: Report) =>
  span && { from: span.from.epochMilliseconds, until: span.until.epochMilliseconds }

/** Useful commands. */
export const nextSteps = ({ statuses }: Report, { command }: About): ReadonlyArray<readonly [string, string]> => {
  const steps: ReadonlyArray<readonly [boolean, string, string]> = [
    [statuses.failed > 0, `${command} dlq requeue --all`, "make failed tasks pending again"],
    [statuses.pending > 0, `${command} run`, "run the pending tasks"],
    [statuses.completed > 0, `${command} export --format csv`, "export the results"]
  ]
  return steps.flatMap(([applies, step, why]) => (applies ? [[step, why] as const] : []))
}

export const took = (millis: number): string => elapsed(Duration.millis(millis))

export const at = (millis: number): string => moment(DateTime.makeUnsafe(millis))

/** Two times, with the date of the second one only if it is another. */
const range = (from: number, until: number): string => {
  const [start, end] = [at(from), at(until)]
  const day = start.slice(0, start.indexOf(" ") + 1)
  return `${start} to ${end.startsWith(day) ? end.slice(day.length) : end}`
}

export const percent = (share: number): string =>
  // Only a full share is shown as 100%.
  share < 1 && share > 0.995 ? "99.5%" : `${Math.floor(share * 1000) / 10}%`

export const tokens = (usage: Usage.Usage): string => {
  const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens
  const cached = usage.cacheReadTokens === 0 ? "" : `, ${percent(usage.cacheReadTokens / input)} from the cache`
  return `${number(Usage.totalTokens(usage))}: ${number(input)} in${cached}, ${number(usage.outputTokens)} out`
}
