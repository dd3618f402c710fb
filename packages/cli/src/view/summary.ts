/** What a run did, for people, and what to type next. */
import { Counts } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import { Stats } from "@baton/core/Stats"
import { StopReason } from "@baton/core/StopReason"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { exitCodes } from "../system/CommandFailed.ts"
import { facts } from "./table.ts"
import { cost, count, number, usage, elapsed } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import * as Style from "./style.ts"
import { fit, pad } from "./width.ts"
import { type Notice, toLine } from "./notices.ts"
import type { Progress } from "./Progress.ts"
import { perSecond } from "./progressLine.ts"
import { ModelUse } from "./models.ts"

/** How and for whom it is told. */
export interface Options {
  readonly style: Style.Style
  readonly columns: number
  /** How `baton` is called for this store. */
  readonly command: string
  /** What was typed to start this run. */
  readonly again: string
  /** A worker has no end that it could miss. */
  readonly endless: boolean
  /** Whether it is meant that nothing was verified. */
  readonly noVerify: boolean
  /** Whether the store is gone with this process. */
  readonly storeIsGone: boolean
}

const margin = "  "
const reasonsShown = 5

/** The lines at the end of a run. */
export const summary = (report: RunReport, progress: Progress, options: Options): ReadonlyArray<string> => [
  toLine(headline(report, options), { style: options.style, columns: Infinity }),
  ...facts(details(report, progress), { style: options.style, margin }),
  ...failures(report, progress, options),
  ...unverified(report, options),
  ...nextSteps(report, options)
]

const sumOf = (counts: Counts): number => counts.pending + counts.in_progress + counts.completed + counts.failed

const headline = (report: RunReport, { endless }: Options): Notice => {
  const { counts, reason, stats } = report
  const total = sumOf(counts)
  const ended = stats.tasksCompleted + stats.tasksFailed
  const took = elapsed(Duration.seconds(stats.elapsedSeconds))
  const rate = ended > 0 && stats.elapsedSeconds > 0 ? ` (${perSecond(ended / stats.elapsedSeconds)})` : ""
  const done = endless
    ? `${count(stats.tasksCompleted, "task")} completed in ${took}${rate}`
    : `${number(counts.completed)} of ${count(total, "task")} completed${stats.tasksStarted > 0 ? ` in ${took}${rate}` : ""}`
  switch (reason._tag) {
    case "Drained":
      if (total === 0) return { mark: "attention", text: "nothing to do: there are no tasks" }
      if (counts.failed > 0 || counts.waiting > 0) return { mark: "failed", text: done }
      return stats.tasksStarted > 0 || ended > 0
        ? { mark: "fine", text: done }
        : { mark: "fine", text: `nothing to do: ${allAre(counts.completed)} completed already` }
    case "Stopped":
      return { mark: endless ? "fine" : "attention", text: `stopped as requested: ${done}` }
    case "Interrupted":
      return { mark: "attention", text: `interrupted: ${done}` }
    case "LimitReached":
      return { mark: "failed", text: `${reason.message} ${done}` }
    case "Failed":
      return { mark: "failed", text: `the run could not go on: ${done}` }
  }
}

const allAre = (tasks: number): string => (tasks === 1 ? "the only task is" : `all ${number(tasks)} tasks are`)

/** A line a model, the dearest first; judging and failed calls included. */
const byModel = (models: RunReport["models"]): ReadonlyArray<readonly [string, string]> =>
  models
    .toSorted((left, right) => Usage.minUsd(right.usage) - Usage.minUsd(left.usage))
    .map(({ cached, model, requests, usage }) => {
      const fromCache = cached === 0 ? "" : `, ${number(cached)} of them from the cache`
      const used = `${count(Usage.totalTokens(usage), "token")}, ${cost(usage)}`
      return ["", `${firstLine(model)}: ${count(requests, "request")}${fromCache}, ${used}`] as const
    })

/** How many there were: as many as tasks, if nothing had to be tried again. */
const attempts = ({ tasksRetried, tasksStarted }: RunReport["stats"]): string =>
  tasksRetried === 0 ? "" : `${number(tasksStarted)}, ${number(tasksRetried)} of which failed and were tried again`

/** One attempt has no distribution. */
const times = ({ durations }: Progress): string => {
  if (durations.count < 2) return ""
  const quantile = (share: number) => elapsed(Duration.millis(durations.quantile(share)))
  return `p50 ${quantile(0.5)}, p95 ${quantile(0.95)} an attempt`
}

const details = (
  { counts, models, stats }: RunReport,
  progress: Progress
): ReadonlyArray<readonly [string, string]> => {
  const left = [
    [counts.pending - counts.waiting, "pending"],
    [
      counts.waiting,
      counts.waiting === 1 ? "waits for a task that did not complete" : "wait for tasks that did not complete"
    ],
    [counts.in_progress, "in progress elsewhere"]
  ] as const
  const entries = [
    ["attempts", attempts(stats)],
    ["time", times(progress)],
    [
      "released",
      stats.tasksReleased === 0
        ? ""
        : `${count(stats.tasksReleased, "task")}, pending again; the attempt does not count`
    ],
    ["taken over", stats.leasesLost === 0 ? "" : `${count(stats.leasesLost, "task")} by other workers`],
    ["used", stats.usage === null ? "" : usage(stats.usage)],
    ...byModel(models),
    ["failed", counts.failed === 0 ? "" : `${count(counts.failed, "task")}, in the dead-letter queue`],
    [
      "left",
      left
        .filter(([tasks]) => tasks > 0)
        .map(([tasks, what]) => `${number(tasks)} ${what}`)
        .join(", ")
    ]
  ] as const
  return entries.filter(([, value]) => value !== "")
}

/** The reasons by their first line, the most frequent first. */
const failures = ({ stats }: RunReport, progress: Progress, { columns, style }: Options): ReadonlyArray<string> => {
  const tally = new Map<string, number>()
  for (const [feedback, tasks] of progress.failures) {
    const text = firstLine(feedback)
    tally.set(text, (tally.get(text) ?? 0) + tasks)
  }
  const reasons = Array.from(tally).sort(([, a], [, b]) => b - a)
  const shown = reasons.slice(0, reasonsShown)
  const rest = stats.tasksFailed - shown.reduce((sum, [, tasks]) => sum + tasks, 0)
  const digits = Math.max(0, ...shown.map(([, tasks]) => number(tasks).length))
  const line = (tasks: number, text: string) =>
    `${margin}${margin}${style.red(pad(number(tasks), digits, "right"))}  ${fit(text, Math.min(columns, 500) - digits - 6)}`
  return [...shown.map(([text, tasks]) => line(tasks, text)), ...(rest > 0 ? [line(rest, "for other reasons")] : [])]
}

const unverified = ({ stats }: RunReport, options: Options): ReadonlyArray<string> =>
  options.noVerify || stats.tasksUnverified === 0
    ? []
    : [
        toLine(
          {
            mark: "attention",
            text: `${count(stats.tasksUnverified, "task")} completed unverified: nothing checked what came out.`
          },
          { style: options.style, columns: Infinity }
        ),
        `${margin}--verify 'CMD' has it checked; --no-verify says that this is meant.`
      ]

/** What helps from here, the most useful first. */
const nextSteps = ({ counts, reason, stats }: RunReport, options: Options): ReadonlyArray<string> => {
  if (options.storeIsGone) return []
  const goesOn = reason._tag !== "Drained" && counts.pending > 0 && !options.endless
  const isStuck = reason._tag === "Drained" && counts.waiting > 0
  const steps: ReadonlyArray<readonly [boolean, string, string]> = [
    [counts.failed > 0, "dlq list", "see what failed, and why"],
    [counts.failed > 0, "dlq requeue --all", "try it again with the next run"],
    [isStuck && counts.failed === 0, "list --status pending", "see what waits"],
    [counts.completed > 0 && stats.tasksCompleted > 0, "export --format csv", "take the results"]
  ]
  const entries = steps.flatMap(([applies, step, why]) =>
    applies ? [[`${options.command} ${step}`, why] as const] : []
  )
  return [
    ...(goesOn ? ["", `${margin}The same command goes on from here:`, margin + margin + options.again] : []),
    ...(entries.length === 0
      ? []
      : ["", ...facts(entries, { style: { ...Style.none, dim: options.style.bold }, margin })])
  ]
}

/** The object that `--json` prints. */
export const RunReport = Schema.Struct({
  reason: StopReason,
  /** The exit code of the command. */
  exitCode: Schema.Int,
  /** What was imported from the sources; null without sources. */
  imported: Schema.NullOr(Schema.Struct({ added: Schema.Int, existing: Schema.Int, skipped: Schema.Int })),
  /** This run. */
  stats: Stats,
  /** What it asked of each model, as far as it is metered: judging included, and so are calls that failed. */
  models: Schema.Array(ModelUse),
  /** All tasks of the store. */
  counts: Counts
})

export interface RunReport extends Schema.Schema.Type<typeof RunReport> {}

/**
 * The exit code that a run which ended for this reason, with the store in this state, deserves. Null when a signal or an
 * error decides.
 *
 * A task that waits for one that will never complete cannot be run any more than a dead letter can, so it counts as one. A
 * run that `baton stop` ended before its work was done ends as by a signal; a worker has no end of its own, so being
 * stopped is how it succeeds.
 */
export const exitCode = (
  { counts, reason }: Pick<RunReport, "counts" | "reason">,
  options: { readonly endless: boolean }
): number | null => {
  switch (reason._tag) {
    case "LimitReached":
      return exitCodes.limitReached
    case "Drained":
      return counts.failed > 0 || counts.waiting > 0 ? exitCodes.deadLetters : exitCodes.ok
    case "Stopped": {
      if (options.endless) return exitCodes.ok
      const isDone = counts.pending === 0 && counts.in_progress === 0
      if (!isDone) return exitCodes.stopped
      return counts.failed > 0 ? exitCodes.deadLetters : exitCodes.ok
    }
    case "Interrupted":
    case "Failed":
      return null
  }
}
