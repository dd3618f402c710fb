/**
 * Tasks as CSV (RFC 4180, with CRLF): the text of a task goes through unchanged.
 *
 * A cell may begin with `=`, `+`, `-` or `@`, which a spreadsheet can take for a formula. Changing such cells would change
 * the data for every other reader, so they stay as they are: import text that you do not trust as text.
 *
 * @since 0.1.0
 */
import * as Usage from "@baton/core/Usage"
import * as DateTime from "effect/DateTime"
import * as Csv from "effect/encoding/Csv"
import * as Stream from "effect/Stream"
import { models } from "./models.ts"
import type { TaskRecord } from "./taskJson.ts"

/**
 * The columns, in their order. Programs may rely on it: new columns come last.
 *
 * @category models
 * @since 0.1.0
 */
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
 * A row a task under a row of column names, which is there even without tasks.
 *
 * @category streams
 * @since 0.1.0
 */
export const csv = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(Stream.map(row), Stream.pipeThroughChannel(Csv.encodeString({ columns: csvColumns, headers: true })))
