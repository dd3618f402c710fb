/** The contents of a report, independent of its format. */
import * as Usage from "@baton/core/Usage"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import { moment } from "../../system/moment.ts"
import { cost, count, number, elapsed } from "../quantity.ts"
import { type Group, ranked, type Report } from "./Report.ts"

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
  const span = report.span()
  const failedAttempts = (outcomes.get("retried") ?? 0) + (outcomes.get("failed") ?? 0)
  const lost = outcomes.get("lease_expired") ?? 0
  const ended = statuses.completed + statuses.failed
  const list: ReadonlyArray<readonly [string, string | undefined]> = [
    ["Success", ended === 0 ? undefined : `${percent(statuses.completed / ended)} of finished tasks`],
    ["Unverified", unverified === 0 ? undefined : `${count(unverified, "task")} completed without verification`],
    ["Attempts", `${number(attempts)}${failedAttempts === 0 ? "" : `, ${number(failedAttempts)} failed`}`],
    ["Lost", lost === 0 ? undefined : `${count(lost, "attempt")} whose worker stopped responding`],
    [
      "Time per attempt",
      durations.count === 0
        ? undefined
        : `${took(durations.quantile(0.5))} median, ${took(durations.quantile(0.95))} at the 95th percentile`
    ],
    ["Total time", span === undefined ? undefined : `${took(span.until - span.from)}, ${range(span.from, span.until)}`],
    ["Tokens", usage === null ? undefined : tokens(usage)],
    ["Cost", usage === null ? undefined : cost(usage)]
  ]
  return list.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]))
}

/** The causes of failures, the most frequent first. */
export const causes = (report: Report): ReadonlyArray<Group> => ranked(report.causes)

/** The usage by model. */
export const models = (report: Report): ReadonlyArray<Group> => ranked(report.models)

/** The attempts by worker, if there are several workers. */
export const workers = (report: Report): ReadonlyArray<Group> => (report.workers.size > 1 ? ranked(report.workers) : [])

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

/** Values from `from` (inclusive) to `to` (exclusive). */
export interface Bucket {
  readonly from: number
  readonly to: number
  readonly count: number
}

const steps = [1, 2, 5]

/**
 * Buckets with the edges 1, 2, 5, 10 and so on, because durations and costs differ by orders of magnitude. Empty without
 * values. Values below `least` are in the first bucket.
 */
export const histogram = (values: Iterable<number>, least: number): ReadonlyArray<Bucket> => {
  const counts = new Map<number, number>()
  for (const value of values) {
    const index = value < least ? 0 : indexOf(value / least)
    counts.set(index, (counts.get(index) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  let first = Infinity
  let last = 0
  for (const index of counts.keys()) {
    first = Math.min(first, index)
    last = Math.max(last, index)
  }
  return Array.from({ length: last - first + 1 }, (_, offset) => {
    const index = first + offset
    return {
      from: index === 0 ? 0 : edge(index) * least,
      to: edge(index + 1) * least,
      count: counts.get(index) ?? 0
    }
  })
}

const edge = (index: number): number => (steps[index % 3] ?? 1) * 10 ** Math.floor(index / 3)

const indexOf = (ratio: number): number => {
  let index = Math.max(0, Math.floor(Math.log10(ratio) * 3) - 1)
  while (edge(index + 1) <= ratio) index++
  return index
}
