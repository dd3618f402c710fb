/** The export formats. */
import * as Usage from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as DateTime from "effect/DateTime"
import * as Csv from "effect/encoding/Csv"
import { jsonArray, jsonLines, type TaskWithHistory } from "./json.ts"
import { models } from "./taskReport.ts"
import { count, usage } from "./quantity.ts"
import { firstLine, markdownText, safeText } from "./safeText.ts"
import { statusWord } from "./taskTable.ts"

/**
 * - `jsonl`: one JSON object per line
 * - `csv`: one row per task, with the columns of `csvColumns`
 * - `md`: a Markdown report
 * - `json`: one JSON array
 */
export const ExportFormat = Schema.Literals(["jsonl", "csv", "md", "json"])

export type ExportFormat = typeof ExportFormat.Type

/** The format for a file's extension. */
export const fromPath = (path: string): ExportFormat | undefined => {
  const extension = /\.(\w+)$/.exec(path)?.[1]?.toLowerCase()
  const name = extension === "ndjson" ? "jsonl" : extension === "markdown" ? "md" : extension
  return ExportFormat.literals.find((format) => format === name)
}

/** The extensions that need no `--format`. */
export const extensions = [".jsonl", ".ndjson", ".json", ".csv", ".md", ".markdown"]

/** The columns in order. Programs can rely on the order: new columns are added at the end. */
const csvColumns = [
  "id",
  "status",
  "description",
  "result",
  "attempts",
  "feedback",
  "verified",
  "priority",
  "createdAt",
  "updatedAt",
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "costUsd",
  "metadata",
  "costAtLeastUsd",
  "costAtMostUsd",
  "models"
] as const

type Row = { readonly [Column in (typeof csvColumns)[number]]: string }

/**
 * Unknown values are empty cells. If the cost is uncertain because requests were cut off, only its bounds are filled in.
 * The models are taken from the task's history, if it is included.
 */
const row = (task: TaskWithHistory): Row => ({
  id: task.id,
  status: task.status,
  description: task.description,
  result: task.result ?? "",
  attempts: String(task.attempts),
  feedback: task.feedback ?? "",
  verified: String(task.verified),
  priority: String(task.priority),
  createdAt: DateTime.formatIso(task.createdAt),
  updatedAt: DateTime.formatIso(task.updatedAt),
  inputTokens: String(task.usage?.inputTokens ?? ""),
  outputTokens: String(task.usage?.outputTokens ?? ""),
  cacheReadTokens: String(task.usage?.cacheReadTokens ?? ""),
  cacheWriteTokens: String(task.usage?.cacheWriteTokens ?? ""),
  costUsd: String(task.usage?.costUsd ?? ""),
  metadata: JSON.stringify(task.metadata),
  costAtLeastUsd: String(task.usage === null ? "" : Usage.minUsd(task.usage)),
  costAtMostUsd: String((task.usage === null ? null : Usage.maxUsd(task.usage)) ?? ""),
  models: models(task.history ?? []).join(" ")
})

/**
 * CSV (RFC 4180, with CRLF): a header row, also without tasks, and one row per task. A cell can start with `=`, `+`, `-` or
 * `@`, which a spreadsheet may treat as a formula. Such cells are not changed, because that would change the data for all
 * other readers.
 */
const csv = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(row), Stream.pipeThroughChannel(Csv.encodeString({ columns: csvColumns, headers: true })))

/** A section per task. */
const markdown = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(section), Stream.prepend(["# Tasks\n"]))

const section = (task: TaskWithHistory): string => {
  const details = [
    statusWord(task),
    ...(task.status === "completed" ? [task.verified ? "verified" : "not verified"] : []),
    count(task.attempts, "attempt"),
    ...(task.usage === null ? [] : [usage(task.usage)]),
    ...models(task.history ?? []).map(markdownText)
  ]
  return [
    "",
    `## ${codeSpan(firstLine(task.id))}`,
    "",
    `*${details.join(" · ")}*`,
    "",
    fence(task.description),
    ...(task.result === null ? [] : ["", "Result:", "", fence(task.result)]),
    ...(task.feedback === null ? [] : ["", "Feedback:", "", fence(task.feedback)]),
    ""
  ].join("\n")
}

/** Uses a fence longer than any run of backticks in the text, so that the text cannot close it. */
const fence = (text: string): string => {
  const marks = "`".repeat(Math.max(3, longestRun(text) + 1))
  return `${marks}\n${safeText(text).replace(/\n$/, "")}\n${marks}`
}

const codeSpan = (text: string): string => {
  const marks = "`".repeat(longestRun(text) + 1)
  return text.includes("`") ? `${marks} ${text} ${marks}` : marks + text + marks
}

const longestRun = (text: string): number =>
  (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0)

/** Renders an export by format. */
export const render: {
  readonly [Format in ExportFormat]: <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>) => Stream.Stream<string, E, R>
} = { jsonl: jsonLines, csv, md: markdown, json: jsonArray }
