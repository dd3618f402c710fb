/** The summary of a run for people, with useful commands. */
import { percent } from "./audit.ts"
import { Counts } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import { Stats } from "@baton/core/Stats"
import { StopReason } from "@baton/core/StopReason"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { exitCodes } from "../system/CommandFailed.ts"
import { labelledLines } from "./table.ts"
import { cost, count, number, usage, elapsed } from "./quantity.ts"
import { firstLine, reasonLine } from "./safeText.ts"
import * as Style from "./style.ts"
import { fit, pad } from "./width.ts"
import { type Notice, toLine } from "./notices.ts"
import type { Progress } from "./Progress.ts"
import { perSecond } from "./progressLine.ts"

/** Options of the summary. */
export interface Options {
  readonly style: Style.Style
  readonly columns: number
  /** The command `baton` with the flags for this store. */
  readonly command: string
  /** The command line of this run. */
  readonly again: string
  /** Whether the run waits for new tasks, as a worker does. */
  readonly endless: boolean
  /** Whether `--no-verify` is set. */
  readonly noVerify: boolean
  /** The share of the tasks in the sample of an audit; undefined without one. */
  readonly audit?: number | undefined
  /** Whether the store is lost when the process exits. */
  readonly isTransient: boolean
}

const margin = "  "
const maxReasons = 5

/** The lines at the end of a run. */
export const summary = (result: RunSummary, progress: Progress, options: Options): ReadonlyArray<string> => [
  toLine(headline(result, options), { style: options.style, columns: Infinity }),
  ...labelledLines(details(result, progress), { style: options.style, margin }),
  ...failures(result, progress, options),
  ...unverified(result, options),
  ...nextSteps(result, options)
]

/** The line of a run with `--quiet` that a limit stopped. Nothing else says why its exit code is 3. */
export const quietSummary = (result: RunSummary, _progress: Progress, options: Options): ReadonlyArray<string> =>
  result.reason._tag === "LimitReached"
    ? [toLine(headline(result, options), { style: options.style, columns: Infinity })]
    : []

const sumOf = (counts: Counts): number =>
  counts.pending + counts.in_progress + counts.in_review + counts.completed + counts.failed

/** The result of a run in one line. */
export const headline = (
  result: Pick<RunSummary, "counts" | "reason" | "stats">,
  { endless }: Pick<Options, "endless">
): Notice => {
  const { counts, reason, stats } = result
  const total = sumOf(counts)
  const ended = stats.tasksCompleted + stats.tasksFailed
  const took = elapsed(Duration.seconds(stats.elapsedSeconds))
  const rate = ended > 0 && stats.elapsedSeconds > 0 ? ` (${perSecond(ended / stats.elapsedSeconds)})` : ""
  const overall = `${number(counts.completed)} of ${count(total, "task")}`
  const done = endless
    ? `${count(stats.tasksCompleted, "task")} completed in ${took}${rate}`
    : stats.tasksStarted === 0
      ? `${overall} completed`
      : stats.tasksCompleted === counts.completed
        ? `${overall} completed in ${took}${rate}`
        : `${number(stats.tasksCompleted)} completed in ${took}${rate}; ${overall} in all`
  switch (reason._tag) {
    case "Drained":
      if (total === 0) return { mark: "attention", text: "Nothing to do: there are no tasks" }
      if (counts.failed > 0) return { mark: "failed", text: done }
      if (counts.in_review > 0) return { mark: "attention", text: `${done}; ${inReview(counts)}` }
      if (counts.waiting > 0) return { mark: "failed", text: done }
      return stats.tasksStarted > 0 || ended > 0
        ? { mark: "fine", text: done }
        : { mark: "fine", text: `Nothing to do: ${allAre(counts.completed)} already completed` }
    case "Stopped":
      return { mark: endless ? "fine" : "attention", text: `Stopped as requested: ${done}` }
    case "Interrupted":
      return { mark: "attention", text: `Interrupted: ${done}` }
    case "LimitReached":
      return { mark: "failed", text: `Stopped: ${limitOf(reason.message)} ${done}` }
    case "Failed":
      return { mark: "failed", text: `Stopped by an error: ${done}` }
  }
}

const inReview = ({ in_review }: Counts): string =>
  `${count(in_review, "task")} ${in_review === 1 ? "waits" : "wait"} for review`

/** The message of a limit as one sentence. The last failure in it can have many lines. */
const limitOf = (message: string): string => {
  const line = reasonLine(message).replace(/\.$/, "").replace(/^The /, "the ")
  return `${line.includes("(last: ") && !line.endsWith(")") ? `${line})` : line}.`
}

const allAre = (tasks: number): string => (tasks === 1 ? "the only task is" : `all ${number(tasks)} tasks are`)

/** One line per model, the most expensive first. Includes judging and failed requests. */
const byModel = (models: RunSummary["models"]): ReadonlyArray<readonly [string, string]> =>
  models
    .toSorted((left, right) => Usage.minUsd(right.usage) - Usage.minUsd(left.usage))
    .map(({ cached, model, requests, usage }) => {
      const fromCache = cached === 0 ? "" : `, ${number(cached)} of them from the cache`
      const used = `${count(Usage.totalTokens(usage), "token")}, ${cost(usage)}`
      return ["", `${firstLine(model)}: ${count(requests, "request")}${fromCache}, ${used}`] as const
    })

/** The number of attempts, if any of them is a retry or waits for one. */
const attempts = ({ tasksFailed, tasksRetried, tasksStarted }: RunSummary["stats"], { retrying }: Progress): string => {
  if (tasksRetried === 0) return ""
  const failed = tasksRetried + tasksFailed
  const waiting =
    retrying.size === 0 ? "" : `; ${count(retrying.size, "task")} ${retrying.size === 1 ? "waits" : "wait"} for a retry`
  return `${number(tasksStarted)}, ${failed >= tasksStarted ? "all" : number(failed)} failed${waiting}`
}

/** The distribution of durations, if there are several attempts. */
const times = ({ durations }: Progress): string => {
  if (durations.count < 2) return ""
  const quantile = (share: number) => elapsed(Duration.millis(durations.quantile(share)))
  return `p50 ${quantile(0.5)}, p95 ${quantile(0.95)} per attempt`
}

const details = (
  { counts, models, stats }: RunSummary,
  progress: Progress
): ReadonlyArray<readonly [string, string]> => {
  const left = [
    [counts.pending - counts.waiting, "pending"],
    [
      counts.waiting,
      counts.waiting === 1 ? "depends on a task that did not complete" : "depend on tasks that did not complete"
    ],
    [counts.in_review, "in review"],
    [counts.in_progress, "in progress on other workers"]
  ] as const
  const entries = [
    ["attempts", attempts(stats, progress)],
    ["time", times(progress)],
    [
      "released",
      stats.tasksReleased === 0
        ? ""
        : `${count(stats.tasksReleased, "task")}, pending again; the attempt does not count`
    ],
    ["taken over", stats.leasesLost === 0 ? "" : `${count(stats.leasesLost, "task")} by other workers`],
    ["used", stats.usage === undefined ? "" : usage(stats.usage)],
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

/** The reasons of failures, the most frequent first. */
const failures = ({ stats }: RunSummary, progress: Progress, { columns, style }: Options): ReadonlyArray<string> => {
  const shown = progress.failures.ranked().slice(0, maxReasons)
  const rest = stats.tasksFailed - shown.reduce((sum, { tasks }) => sum + tasks, 0)
  const digits = Math.max(0, ...shown.map(({ tasks }) => number(tasks).length))
  const line = (tasks: number, text: string) =>
    `${margin}${margin}${style.red(pad(number(tasks), digits, "right"))}  ${fit(text, Math.min(columns, 500) - digits - 6)}`
  return [...shown.map(({ tasks, text }) => line(tasks, text)), ...(rest > 0 ? [line(rest, "for other reasons")] : [])]
}

const unverified = ({ stats }: RunSummary, options: Options): ReadonlyArray<string> =>
  options.noVerify || stats.tasksUnverified === 0
    ? []
    : [
        toLine(
          {
            mark: "attention",
            text: `${count(stats.tasksUnverified, "task")} completed without verification.`
          },
          { style: options.style, columns: Infinity }
        ),
        `${margin}Add --verify 'CMD' to check outputs, or --no-verify to hide this message.`
      ]

/** Useful commands, the most useful first. */
const nextSteps = ({ counts, reason, stats }: RunSummary, options: Options): ReadonlyArray<string> => {
  if (options.isTransient) return []
  const canResume = reason._tag !== "Drained" && counts.pending > 0 && !options.endless
  const isStuck = reason._tag === "Drained" && counts.waiting > 0
  const steps: ReadonlyArray<readonly [boolean, string, string]> = [
    [counts.in_review > 0, "review", "decide about the outputs in review"],
    [
      options.audit !== undefined && stats.tasksStarted > 0,
      `audit --sample ${percent(options.audit ?? 0)}`,
      "audit a sample of the verdicts"
    ],
    [counts.failed > 0, "dlq list", "list failed tasks and the causes"],
    [counts.failed > 0, "dlq requeue --all", "make failed tasks pending again"],
    [isStuck && counts.failed === 0 && counts.in_review === 0, "list --status pending", "list the pending tasks"],
    [counts.completed > 0 && stats.tasksCompleted > 0, "export --format csv", "export the results"]
  ]
  const entries = steps.flatMap(([applies, step, why]) =>
    applies ? [[`${options.command} ${step}`, why] as const] : []
  )
  return [
    ...(reason._tag === "LimitReached" && reason.limit === "no-success"
      ? ["", `${margin}Fix the cause and run again, or add --no-breaker to run all tasks in spite of it.`]
      : []),
    ...(canResume ? ["", `${margin}${howToResume(reason, options)}`, margin + margin + options.again] : []),
    ...(entries.length === 0
      ? []
      : ["", ...labelledLines(entries, { style: { ...Style.none, dim: options.style.bold }, margin })])
  ]
}

const howToResume = (reason: StopReason, { command }: Options): string => {
  if (reason._tag !== "LimitReached" || reason.queue === undefined) return "Run the same command again to resume:"
  const [flag, unit] = reason.limit === "tokens" ? ["--max-tokens", "N"] : ["--max-cost", "USD"]
  return `Raise the limit to resume, with a higher ${flag} or \`${command} budget set --queue ${firstLine(reason.queue)} ${flag} ${unit}\`, and run:`
}

/** The requests to a model and their usage. */
export const ModelUse = Schema.Struct({
  model: Schema.String,
  requests: Schema.Int,
  /** The number of `requests` answered by the response cache. */
  cached: Schema.Int,
  usage: Usage.Usage
})

export interface ModelUse extends Schema.Schema.Type<typeof ModelUse> {}

/** The object that `--json` prints. */
export const RunSummary = Schema.Struct({
  reason: StopReason,
  /** The exit code of the command. */
  exitCode: Schema.Int,
  /** The result of the import; null without sources. */
  imported: Schema.NullOr(Schema.Struct({ added: Schema.Int, existing: Schema.Int, skipped: Schema.Int })),
  /** The statistics of this run. */
  stats: Stats,
  /** The metered use of each model, including judging and failed requests. */
  models: Schema.Array(ModelUse),
  /** All tasks of the store. */
  counts: Counts
})

export interface RunSummary extends Schema.Schema.Type<typeof RunSummary> {}

/**
 * The exit code of a run that ended for this reason with the store in this state. Null if a signal or an error decides.
 *
 * A task that depends on one that will never complete counts as a dead letter. If `baton stop` ends a run with tasks left,
 * the exit code is that of a signal. A worker runs until it is stopped, so stopping it is a success.
 */
export const exitCode = (
  { counts, reason }: Pick<RunSummary, "counts" | "reason">,
  options: { readonly endless: boolean }
): number | null => {
  switch (reason._tag) {
    case "LimitReached":
      return exitCodes.limitReached
    case "Drained":
      if (counts.failed > 0) return exitCodes.deadLetters
      // Those that wait can be waiting for a task in review.
      if (counts.in_review > 0) return exitCodes.inReview
      return counts.waiting > 0 ? exitCodes.deadLetters : exitCodes.ok
    case "Stopped": {
      if (options.endless) return exitCodes.ok
      const isDone = counts.pending === 0 && counts.in_progress === 0
      if (!isDone) return exitCodes.stopped
      if (counts.failed > 0) return exitCodes.deadLetters
      return counts.in_review > 0 ? exitCodes.inReview : exitCodes.ok
    }
    case "Interrupted":
    case "Failed":
      return null
  }
}
