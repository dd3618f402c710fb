/** All information about a task, for people. */
import type { Attempt } from "@baton/core/Attempt"
import type { Task } from "@baton/core/Task"
import type { AttemptProgress } from "@baton/core/AttemptProgress"
import type { Decision } from "@baton/core/Verification"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as TextDiff from "effect/TextDiff"
import { block, type Canvas, labelledLines, longBlock } from "./table.ts"
import { moment } from "../system/moment.ts"
import { count, number, usage, age, elapsed } from "./quantity.ts"
import { firstLine, safeText } from "./safeText.ts"
import * as Style from "./style.ts"
import { ofTask, statusWord, taskWord } from "./taskTable.ts"

/** A task with its attempts and dependencies. */
export interface TaskDetails {
  readonly task: Task
  readonly history: ReadonlyArray<Attempt>
  /** The dependencies and their statuses; null for a deleted task. */
  readonly dependencies: ReadonlyArray<readonly [id: string, status: Task["status"] | null]>
  /** What the attempt under way has reported. */
  readonly progress: AttemptProgress | null
}

const margin = "  "
const maxDescriptionLines = 40

/** The lines of `baton show`: the task, its description, its attempts, its result. */
export function* taskReport(details: TaskDetails, canvas: Canvas, now: number): Iterable<string> {
  const { history, task } = details
  const { style } = canvas
  const section = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : ["", style.bold(title), ...lines]
  const entries = entriesOf(details, canvas, now)
  yield* [
    `${style.bold(firstLine(task.id))}  ${ofTask(style, task)(taskWord(task))}${statusNote(task)}`,
    "",
    ...labelledLines(entries, { style, margin }),
    ...section("Metadata", metadata(task, canvas)),
    ...section("Description", block(task.description, margin, maxDescriptionLines)),
    ...section(
      "Attempts",
      history.flatMap((attempt, index) => attemptReport(attempt, { style, now, before: outputBefore(history, index) }))
    ),
    // Omitted if it is the error of the last attempt, which is shown above.
    ...(task.feedback === undefined || history.at(-1)?.error === task.feedback
      ? []
      : section("Feedback for the next attempt", block(task.feedback, margin))),
    ...section("Output so far", outputSoFar(details.progress))
  ]
  if (task.result === undefined) return
  yield* ["", style.bold("Result")]
  if (safeText(task.result).trim() === "") yield `${margin}(empty)`
  else yield* longBlock(task.result, margin)
}

const statusNote = (task: Task): string => {
  if (task.status === "completed") return task.verified ? ", verified" : ", not verified"
  return task.status === "failed" ? ", in the dead-letter queue" : ""
}

const entriesOf = ({ dependencies, progress, task }: TaskDetails, { style }: Canvas, now: number) => {
  const since = (at: DateTime.Utc) => {
    const passed = age(Duration.millis(now - at.epochMilliseconds))
    return style.dim(passed === "now" ? "just now" : `${passed} ago`)
  }
  const ago = (at: DateTime.Utc) => `${moment(at)}  ${since(at)}`
  const wait = task.availableAt.epochMilliseconds - now
  const entries: ReadonlyArray<readonly [string, string]> = [
    ["Added", ago(task.createdAt)],
    ["Changed", task.updatedAt.epochMilliseconds === task.createdAt.epochMilliseconds ? "" : ago(task.updatedAt)],
    ["Attempts", number(task.attempts) + requeued(task)],
    ["Progress", progress === null ? "" : `${progressText(progress)}  ${since(progress.at)}`],
    ["Starts", task.status === "pending" && wait > 0 ? `in ${elapsed(Duration.millis(wait))} at the earliest` : ""],
    ["Priority", task.priority === 0 ? "" : number(task.priority)],
    ["Concurrency key", firstLine(task.concurrencyKey ?? "")],
    ["Own limits", ownLimits(task)],
    ["Own model", firstLine(task.overrides.model ?? "")],
    ["Own system", firstLine(task.overrides.system ?? "")],
    ["Depends on", dependencies.map(([id, status]) => dependency(style, id, status)).join(", ")],
    ["Used", task.usage === undefined ? "" : usage(task.usage)]
  ]
  return entries.filter(([, value]) => value !== "")
}

/** What a task reports about itself, in one line. Its output is shown below. */
const progressText = ({ fraction, output, text }: AttemptProgress): string =>
  [
    fraction === undefined ? "" : `${Math.floor(fraction * 100)}%`,
    firstLine(text ?? (fraction === undefined && output !== undefined ? "see its output" : ""))
  ]
    .filter((part) => part !== "")
    .join("  ")

/** The last lines that the attempt under way has put out. */
const outputSoFar = (progress: AttemptProgress | null): ReadonlyArray<string> => {
  const output = (progress?.output ?? "").replaceAll(/[\r\n]+/g, "\n").trim()
  return output === "" ? [] : block(lastLines(output), margin)
}

/** The limits of the task that replace those of the run. */
const ownLimits = ({ overrides: { executionTimeoutMillis, maxAttempts, retryDelayMillis } }: Task): string =>
  [
    maxAttempts === undefined ? "" : count(maxAttempts, "attempt"),
    executionTimeoutMillis === undefined ? "" : `${elapsed(Duration.millis(executionTimeoutMillis))} per attempt`,
    retryDelayMillis === undefined ? "" : `retried after ${elapsed(Duration.millis(retryDelayMillis))}`
  ]
    .filter((limit) => limit !== "")
    .join(", ")

const maxMetadataFields = 30

/** One line per field, up to a limit. */
const metadata = ({ metadata }: Task, { columns, style }: Canvas): ReadonlyArray<string> => {
  const entries = Object.entries(metadata).map(
    ([name, value]) => [firstLine(name), firstLine(typeof value === "string" ? value : JSON.stringify(value))] as const
  )
  const more = entries.length - maxMetadataFields
  const shown = labelledLines(entries.slice(0, maxMetadataFields), { style, margin, columns })
  return more > 0 ? [...shown, `${margin}… ${count(more, "more field")}`] : shown
}

const requeued = ({ requeues }: Task): string => {
  if (requeues === 0) return ""
  return requeues === 1 ? " since it was requeued" : ` since it was requeued for the ${ordinal(requeues)} time`
}

const ordinal = (n: number): string => {
  const teens = n % 100 > 10 && n % 100 < 14
  const suffix = teens ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th")
  return `${number(n)}${suffix}`
}

const dependency = (style: Style.Style, id: string, status: Task["status"] | null): string =>
  status === null
    ? `${firstLine(id)} ${style.red("(deleted)")}`
    : `${firstLine(id)} (${Style.ofStatus(style, status)(statusWord({ status }))})`

const attemptMargin = "     "
const maxLines = 12

const outputOf = ({ execution }: Attempt): string | undefined =>
  execution === undefined || execution.output === "" ? undefined : execution.output.slice(0, maxCompared)

/** The output of the last attempt before this one that has an output. */
const outputBefore = (history: ReadonlyArray<Attempt>, index: number): string | undefined =>
  history
    .slice(0, index)
    .map(outputOf)
    .findLast((output) => output !== undefined)

/** The characters of an output that are compared; an output can have ten megabytes. */
const maxCompared = 64 * 1024
/** Outputs with more differences are shown as a deletion and an insertion. */
const maxEdits = 1000
const maxDifferenceLines = 40

/** The output, which for a completed attempt is the result of the task, and the difference to the output before. */
const output = (attempt: Attempt, before: string | undefined, style: Style.Style): ReadonlyArray<string> => {
  const output = outputOf(attempt)
  if (output === undefined) return []
  if (output === before) return labelled("Output", "the same as that of the attempt before", style)
  const own = attempt.outcome === "completed" ? [] : labelled("Output", output, style)
  if (before === undefined) return own
  const difference = TextDiff.unified(TextDiff.lines(`${before}\n`, `${output}\n`, { maxEdits }), { context: 2 })
  return [
    ...own,
    `${attemptMargin}${style.dim("Difference to the attempt before:")}`,
    ...block(difference, `${attemptMargin}  `, maxDifferenceLines).map((line) =>
      ofDifference(style, line.trimStart())(line)
    )
  ]
}

const ofDifference = (style: Style.Style, line: string): Style.Paint => {
  if (line.startsWith("+")) return style.green
  if (line.startsWith("-")) return style.red
  return line.startsWith("@@") ? style.dim : (text) => text
}

/** A heading with number, outcome, time and worker, followed by output, error, verdict, usage and metadata. */
const attemptReport = (
  attempt: Attempt,
  options: { readonly style: Style.Style; readonly now: number; readonly before: string | undefined }
): ReadonlyArray<string> => {
  const { style } = options
  const end = attempt.endedAt?.epochMilliseconds ?? options.now
  const took = elapsed(Duration.millis(end - attempt.startedAt.epochMilliseconds))
  const heading = [
    `${style.bold(`#${attempt.number}`)} ${Style.ofOutcome(style, attempt.outcome)(attempt.outcome.replace("_", " "))}`,
    style.dim(`${moment(attempt.startedAt)}, ${attempt.endedAt === undefined ? `${took} so far` : took}`),
    style.dim(`by ${firstLine(attempt.owner)}`)
  ]
  return [
    `  ${heading.join("  ")}`,
    ...output(attempt, options.before, style),
    ...labelled("Error", attempt.error ?? "", style),
    ...verdict(attempt, style),
    ...labelled("Used", attempt.usage === undefined ? "" : usage(attempt.usage), style),
    ...labelled("Judge", judge(attempt), style),
    ...executionDetails(attempt, style)
  ]
}

/** The models of the judge and their part of the usage. */
const judge = ({ verification }: Attempt): string => {
  const used =
    verification === undefined || verification.usage === undefined ? [] : [`${usage(verification.usage)} of the total`]
  return [...judgesOf(verification), ...used].join(", ")
}

/** A single line follows its label; several lines are below it. Empty text is omitted. */
const labelled = (label: string, text: string, style: Style.Style): ReadonlyArray<string> => {
  const [first = "", ...others] = block(text, `${attemptMargin}  `, maxLines)
  if (others.length > 0) return [`${attemptMargin}${style.dim(`${label}:`)}`, first, ...others]
  return first === "" ? [] : [`${attemptMargin}${style.dim(`${label}:`)} ${first.trimStart()}`]
}

const verdict = ({ error, verification }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  if (verification === undefined) return []
  const word = verification.passed ? style.green("accepted") : style.red("rejected")
  const confidence = verification.confidence === 1 ? "" : `, ${Math.round(verification.confidence * 100)}% confidence`
  const { decision, review } = verification
  // An output that nothing but a person looks at has no verdict.
  const isJudged = review === undefined || verification.confidence > 0
  return [
    ...(review === undefined ? [] : labelled("Review", review, style)),
    ...(decision === undefined ? [] : labelled("Decision", decisionText(decision, error), style)),
    ...(isJudged ? [`${attemptMargin}${style.dim("Verdict:")} ${word}${confidence}`] : []),
    // The feedback of a rejection is also the error of the attempt.
    ...(verification.feedback === error ? [] : labelled("Feedback", verification.feedback, style)),
    ...verification.issues.flatMap((issue) => block(`- ${issue}`, `${attemptMargin}  `, maxLines))
  ]
}

/** What a person decided. The comment of a rejection is also the error of the attempt. */
const decisionText = ({ by, comment, kind }: Decision, error: string | undefined): string => {
  const text = `${kind} by ${firstLine(by)}`
  return comment === "" || comment === error ? text : `${text}: ${comment}`
}

/** The metadata of the execution. Short values share a line; for long texts, the last lines are shown. */
const executionDetails = ({ error, execution }: Attempt, style: Style.Style): ReadonlyArray<string> => {
  const values = Object.entries(execution?.metadata ?? {}).flatMap(([name, value]) => {
    const text = typeof value === "string" ? value.trim() : value === null ? "" : JSON.stringify(value)
    // The end of a program's output is often already part of the error.
    const isRepeated = text === "" || (typeof value === "string" && error?.includes(text) === true)
    return isRepeated ? [] : [[firstLine(name), text] as const]
  })
  const isLong = (text: string) => text.length > 100 || text.includes("\n")
  const short = values.filter(([, text]) => !isLong(text)).map(([name, text]) => `${name} ${firstLine(text)}`)
  return [
    ...labelled("Details", short.join(", "), style),
    ...values.filter(([, text]) => isLong(text)).flatMap(([name, text]) => labelled(name, lastLines(text), style))
  ]
}

const lastLines = (text: string): string => {
  const lines = text.split("\n")
  return lines.length <= maxLines ? text : ["…", ...lines.slice(-maxLines)].join("\n")
}

/** The model that executed an attempt, from the metadata of its executor. */
export const modelOf = ({ execution }: Attempt): string | undefined => {
  const model = execution?.metadata["model"]
  return typeof model === "string" ? firstLine(model) : undefined
}

/** The distinct models that executed or judged these attempts. */
export const models = (history: ReadonlyArray<Attempt>): ReadonlyArray<string> => {
  const executors = history.map(modelOf).filter((model) => model !== undefined)
  return [...new Set([...executors, ...history.flatMap(({ verification }) => judgesOf(verification))])]
}

/** The models that judged an attempt. */
const judgesOf = (verification: Attempt["verification"]): ReadonlyArray<string> =>
  (verification?.models ?? []).map(firstLine)
