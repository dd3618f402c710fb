/** The forms that tasks can be exported in. */
import * as Usage from "@baton/core/Usage"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as DateTime from "effect/DateTime"
import * as Csv from "effect/encoding/Csv"
import { jsonArray, jsonLines, type TaskRecord } from "./json.ts"
import { models } from "./models.ts"
import { count, usage } from "./quantity.ts"
import { firstLine, safeText } from "./safeText.ts"
import { statusWord } from "./taskTable.ts"

/**
 * - `jsonl`: a JSON object a line
 * - `csv`: a row a task, with the columns of `csvColumns`
 * - `md`: a report to read
 * - `json`: one array
 */
export const ExportFormat = Schema.Literals(["jsonl", "csv", "md", "json"])

export type ExportFormat = typeof ExportFormat.Type

/** The format that a file's name stands for. */
export const fromPath = (path: string): ExportFormat | undefined => {
  const extension = /\.(\w+)$/.exec(path)?.[1]?.toLowerCase()
  const name = extension === "ndjson" ? "jsonl" : extension === "markdown" ? "md" : extension
  return ExportFormat.literals.find((format) => format === name)
}

/** The columns, in their order. Programs may rely on it: new columns come last. */
export const csvColumns = [
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
 * What is not known is an empty cell: a cost that nobody can say, because calls broke off, is none, and its bounds are
 * beside it. Models are those of the ledger, where the task comes with it.
 */
const row = (task: TaskRecord): Row => ({
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
 * CSV (RFC 4180, with CRLF): a row per task under a row of column names, which is there even without tasks. A cell may
 * begin with `=`, `+`, `-` or `@`, which a spreadsheet can take for a formula. Changing such cells would change the data
 * for every other reader, so they stay as they are.
 */
const csv = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(row), Stream.pipeThroughChannel(Csv.encodeString({ columns: csvColumns, headers: true })))

/** The sections. */
const markdown = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(section), Stream.prepend(["# Tasks\n"]))

const section = (task: TaskRecord): string => {
  const facts = [
    statusWord(task),
    ...(task.status === "completed" ? [task.verified ? "verified" : "not verified"] : []),
    count(task.attempts, "attempt"),
    ...(task.usage === null ? [] : [usage(task.usage)]),
    ...models(task.history ?? [])
  ]
  return [
    "",
    `## ${codeSpan(firstLine(task.id))}`,
    "",
    `*${facts.join(" · ")}*`,
    "",
    quote(task.description),
    ...(task.result === null ? [] : ["", "Result:", "", fence(task.result)]),
    ...(task.feedback === null ? [] : ["", "Feedback:", "", fence(task.feedback)]),
    ""
  ].join("\n")
}

/** The description may hold Markdown of its own, which stays inside its quote. */
const quote = (text: string): string =>
  safeText(text)
    .trimEnd()
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n")

/** A fence longer than any run of backticks in the text, so that nothing in it ends the block. */
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

/** The text of an export, as it is to be written. */
export const render: {
  readonly [Format in ExportFormat]: <E, R>(tasks: Stream.Stream<TaskRecord, E, R>) => Stream.Stream<string, E, R>
} = { jsonl: jsonLines, csv, md: markdown, json: jsonArray }
