/**
 * The forms that tasks can be exported in.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { csv } from "./taskCsv.ts"
import { jsonArray, jsonLines, type TaskRecord } from "./taskJson.ts"
import { markdown } from "./taskMarkdown.ts"

/**
 * - `jsonl`: a JSON object a line
 * - `csv`: a row a task, with the columns of `csvColumns`
 * - `md`: a report to read
 * - `json`: one array
 *
 * @category models
 * @since 0.1.0
 */
export const ExportFormat = Schema.Literals(["jsonl", "csv", "md", "json"])

/** @since 0.1.0 */
export type ExportFormat = typeof ExportFormat.Type

/**
 * The text of an export, as it is to be written.
 *
 * @category streams
 * @since 0.1.0
 */
export const render: {
  readonly [Format in ExportFormat]: <E, R>(tasks: Stream.Stream<TaskRecord, E, R>) => Stream.Stream<string, E, R>
} = { jsonl: jsonLines, csv, md: markdown, json: jsonArray }

/**
 * The format that a file's name stands for.
 *
 * @category getters
 * @since 0.1.0
 */
export const fromPath = (path: string): ExportFormat | undefined => {
  const extension = /\.(\w+)$/.exec(path)?.[1]?.toLowerCase()
  const name = extension === "ndjson" ? "jsonl" : extension === "markdown" ? "md" : extension
  return ExportFormat.literals.find((format) => format === name)
}
