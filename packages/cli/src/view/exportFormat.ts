/** The export formats. */
import * as Usage from "@baton/core/Usage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as DateTime from "effect/DateTime"
import * as Csv from "effect/encoding/Csv"
import { jsonArray, jsonLines, type TaskWithHistory } from "./json.ts"
import { cellText, type DataColumn, resultFields } from "./resultTable.ts"
import type { TaskColumn } from "./tableColumns.ts"
import { models } from "./taskReport.ts"
import { count, usage } from "./quantity.ts"
import { firstLine, markdownText, safeText } from "./safeText.ts"
import { taskWord } from "./taskTable.ts"

/**
 * - `jsonl`: one JSON object per line
 * - `csv`: one row per task, with columns for the source and the fields of the results
 * - `tsv`: the same, separated by tabs
 * - `parquet`: the same, with types
 * - `xlsx`: the same, as an Excel workbook
 * - `md`: a Markdown report
 * - `json`: one JSON array
 */
export const ExportFormat = Schema.Literals(["jsonl", "csv", "tsv", "parquet", "xlsx", "md", "json"])

export type ExportFormat = typeof ExportFormat.Type

/** Whether a format is a table, which has no room for attempts. */
export const isTable = (format: ExportFormat): boolean => tables.has(format)

const tables: ReadonlySet<ExportFormat> = new Set(["csv", "tsv", "parquet", "xlsx"])

/** The format for a file's extension. */
export const fromPath = (path: string): ExportFormat | undefined => {
  const extension = /\.(\w+)$/.exec(path)?.[1]?.toLowerCase()
  const name = extension === "ndjson" ? "jsonl" : extension === "markdown" ? "md" : extension
  return ExportFormat.literals.find((format) => format === name)
}

/** The extensions that need no `--format`. */
export const extensions = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".xlsx", ".md", ".markdown"]

type TaskColumns = ReadonlyArray<TaskColumn>

/**
 * The columns of every task. Programs can rely on the order: new columns are added at the end, before those of the source
 * and of the results. Unknown values are empty. If the cost is uncertain because requests were cut off, only its bounds are
 * known. The models are taken from the task's history, if it is included.
 */
const taskColumns: TaskColumns = [
  { name: "id", type: "STRING", value: (task) => task.id },
  { name: "status", type: "STRING", value: (task) => task.status },
  { name: "description", type: "STRING", value: (task) => task.description },
  { name: "result", type: "STRING", value: (task) => task.result ?? null },
  { name: "attempts", type: "INT64", value: (task) => task.attempts },
  { name: "feedback", type: "STRING", value: (task) => task.feedback ?? null },
  { name: "verified", type: "BOOLEAN", value: (task) => task.verified },
  { name: "priority", type: "INT64", value: (task) => task.priority },
  { name: "createdAt", type: "TIMESTAMP", value: (task) => DateTime.toDateUtc(task.createdAt) },
  { name: "updatedAt", type: "TIMESTAMP", value: (task) => DateTime.toDateUtc(task.updatedAt) },
  { name: "inputTokens", type: "INT64", value: ({ usage }) => usage?.inputTokens ?? null },
  { name: "outputTokens", type: "INT64", value: ({ usage }) => usage?.outputTokens ?? null },
  { name: "cacheReadTokens", type: "INT64", value: ({ usage }) => usage?.cacheReadTokens ?? null },
  { name: "cacheWriteTokens", type: "INT64", value: ({ usage }) => usage?.cacheWriteTokens ?? null },
  { name: "costUsd", type: "DOUBLE", value: ({ usage }) => usage?.costUsd ?? null },
  { name: "metadata", type: "STRING", value: (task) => JSON.stringify(task.metadata) },
  { name: "costAtLeastUsd", type: "DOUBLE", value: ({ usage }) => (usage === undefined ? null : Usage.minUsd(usage)) },
  { name: "costAtMostUsd", type: "DOUBLE", value: ({ usage }) => (usage === undefined ? null : Usage.maxUsd(usage)) },
  { name: "models", type: "STRING", value: ({ history = [] }) => models(history).join(" ") }
]

/** The names of the columns of every task. */
export const taskColumnNames: ReadonlyArray<string> = taskColumns.map(({ name }) => name)

const cell = (value: ReturnType<TaskColumn["value"]>): string =>
  value === null ? "" : value instanceof Date ? value.toISOString() : String(value)

type Render = <E, R>(
  tasks: Stream.Stream<TaskWithHistory, E, R>,
  data: ReadonlyArray<DataColumn>
) => Stream.Stream<string | Uint8Array, E, R>

/**
 * CSV (RFC 4180, with CRLF): a header row, also without tasks, and one row per task. A cell can start with `=`, `+`, `-` or
 * `@`, which a spreadsheet may treat as a formula. Such cells are not changed, because that would change the data for all
 * other readers.
 */
const separated =
  (delimiter: string): Render =>
  (tasks, data) =>
    tasks.pipe(
      Stream.map((task) => [
        ...taskColumns.map(({ value }) => cell(value(task))),
        ...data.map(({ value }) => cellText(value(task)))
      ]),
      Stream.prepend([[...taskColumnNames, ...data.map(({ name }) => name)]]),
      Stream.pipeThroughChannel(Csv.encodeString({ delimiter }))
    )

/** The number of tasks in a row group of a Parquet file. */
const rowGroupSize = 10_000

const parquet: Render = (tasks, data) =>
  Stream.unwrap(
    Effect.gen(function* () {
      // Loaded on demand, because most exports are text.
      const { make } = yield* Effect.promise(() => import("./parquet.ts"))
      const file = make(taskColumns, data)
      yield* tasks.pipe(Stream.rechunk(rowGroupSize), Stream.runForEachArray(file.write))
      return Stream.fromEffect(file.finish)
    })
  )

const xlsx: Render = (tasks, data) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { make } = yield* Effect.promise(() => import("./xlsx.ts"))
      const file = make(taskColumns, data)
      yield* Stream.runForEach(tasks, (task) => Effect.sync(() => file.add(task)))
      return Stream.fromEffect(file.finish)
    })
  )

/** JSON, in which a result that is a JSON object can be read without parsing it. */
const withFields =
  (render: typeof jsonLines): Render =>
  (tasks) =>
    render(
      Stream.map(tasks, (task) => {
        const fields = resultFields(task)
        return fields === undefined ? task : { ...task, fields }
      })
    )

/** A section per task. */
const markdown = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(section), Stream.prepend(["# Tasks\n"]))

const section = (task: TaskWithHistory): string => {
  const details = [
    taskWord(task),
    ...(task.status === "completed" ? [task.verified ? "verified" : "not verified"] : []),
    count(task.attempts, "attempt"),
    ...(task.usage === undefined ? [] : [usage(task.usage)]),
    ...models(task.history ?? []).map(markdownText)
  ]
  return [
    "",
    `## ${codeSpan(firstLine(task.id))}`,
    "",
    `*${details.join(" · ")}*`,
    "",
    fence(task.description),
    ...columnLines(task),
    ...(task.result === undefined ? [] : ["", "Result:", "", fence(task.result)]),
    ...(task.feedback === undefined ? [] : ["", "Feedback:", "", fence(task.feedback)]),
    ""
  ].join("\n")
}

/** The columns of the source, a line each. */
const columnLines = ({ metadata }: TaskWithHistory): ReadonlyArray<string> => {
  const lines = Object.entries(metadata).flatMap(([name, value]) => {
    const text = cellText(value)
    return text === "" ? [] : `- ${markdownText(firstLine(name))}: ${codeSpan(safeText(text.replaceAll(/\s+/g, " ")))}`
  })
  return lines.length === 0 ? [] : ["", ...lines]
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
export const render: { readonly [Format in ExportFormat]: Render } = {
  jsonl: withFields(jsonLines),
  csv: separated(","),
  tsv: separated("\t"),
  parquet,
  xlsx,
  md: markdown,
  json: withFields(jsonArray)
}
