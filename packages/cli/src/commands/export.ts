/** `baton export` */
import type { Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { byPage, writeAll } from "../view/stdout.ts"
import { ExportFormat, extensions, fromPath, isTable, render, taskColumnNames } from "../view/exportFormat.ts"
import { DataColumns } from "../view/resultTable.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { count, number } from "../view/quantity.ts"
import { safe } from "../view/safeText.ts"
import type { TaskWithHistory } from "../view/json.ts"
import * as store from "../run/stores.ts"
import { pages, records } from "@baton/core/TaskPages"
import { unknownExtension, writeFile } from "../view/writeFile.ts"
import { printMessage } from "../view/stderr.ts"

/** Ledgers are read concurrently, so that a remote store does not slow down the export. */
const ledgerConcurrency = 16

/** Records have less in memory than a page of tasks, because each has all attempts. */
const maxPageSize = 500

/** The rows of a sheet of Excel, without the header. */
const maxSheetRows = 1_048_575

/** Exports tasks and results. */
export const exportCommand = Command.make(
  "export",
  {
    format: options.value(
      "format",
      Kind.oneOf(...ExportFormat.literals),
      "The format (default: that of FILE's extension, or jsonl)"
    ),
    status: options.status,
    history: options.toggle("history", "Include every attempt of every task (jsonl and json only)"),
    output: options.value(
      "output",
      Kind.text("FILE", "the path of a file, or - for standard output"),
      "Write to this file; an existing file is replaced after a successful write",
      { alias: "o" }
    )
  },
  Effect.fnUntraced(function* (input) {
    const format = formatOf(input)
    let exported = 0
    const data = new DataColumns(taskColumnNames)
    if (isTable(format)) {
      let rows = 0
      yield* Stream.runForEach(pages({ status: input.status }), (task) =>
        Effect.sync(() => {
          rows++
          data.add(task)
        })
      )
      if (format === "xlsx" && rows > maxSheetRows) {
        return yield* new CommandFailed({
          message: `A sheet of Excel has room for ${number(maxSheetRows)} tasks, and there are ${number(rows)}. Export them as csv or parquet.`
        })
      }
    }
    const { history, status } = input
    const found: Stream.Stream<TaskWithHistory, TaskStoreError, TaskStore> =
      history || isTable(format) || format === "md"
        ? withHistory(status, hasHistory(format, history))
        : pages({ status })
    const exporting = Stream.mapArray(found, (page) => {
      exported += page.length
      return page
    })
    const text = byPage(render[format](exporting, data.all))
    if (input.output === undefined || input.output === "-") return yield* writeAll(text)
    yield* writeFile(input.output, text)
    yield* printMessage(safe`${count(exported, "task")} exported to ${input.output}.`)
  })
).pipe(
  Command.validate((input) => {
    const format = formatOf(input)
    if (input.format === undefined && input.output !== undefined && fromPath(input.output) === undefined) {
      const refused = unknownExtension(input.output, extensions)
      if (refused !== undefined) return Effect.fail(refused)
    }
    return input.history && (isTable(format) || format === "md")
      ? Effect.fail(
          new CliError.ValidationError({
            message: `--history does not work with ${format}, which has no room for attempts. Use --format jsonl or json.`
          })
        )
      : Effect.void
  }),
  Command.withDescription(
    [
      "Export the tasks with their results, in the order in which they were added.",
      "A table (CSV, TSV, Parquet, XLSX) has a row for each task, with a column for each field of its source, and one named",
      "result.NAME for each field of a result that is a JSON object. Failed tasks keep the reason in the column feedback.",
      "The JSON formats have the source's fields in metadata and those of the result in fields.",
      "CSV follows RFC 4180 and has a header row. Texts are written unchanged, so import untrusted texts into a spreadsheet",
      "as text, not as formulas; in XLSX, they are text. A cell of XLSX holds 32,767 characters, and a longer text is cut."
    ].join(" ")
  ),
  Command.withShortDescription("Export tasks and results"),
  Command.withExamples([
    { command: "baton export -o results.csv", description: "Write a table of all tasks" },
    { command: "baton export --status completed | jq -r .result", description: "Print only the results" },
    { command: "baton export --format json --history -o audit.json", description: "Include every attempt" }
  ]),
  Command.provide(store.layerExisting)
)

const formatOf = (input: {
  readonly format: ExportFormat | undefined
  readonly output: string | undefined
}): ExportFormat => input.format ?? (input.output === undefined ? undefined : fromPath(input.output)) ?? "jsonl"

/** A table and a Markdown report list the models, which are in the ledger. Tasks without usage have no models. */
const hasHistory = (format: ExportFormat, history: boolean) => (task: Task) =>
  history || ((isTable(format) || format === "md") && task.usage !== undefined)

/** The tasks, with their attempts where they are wanted. */
const withHistory = (
  status: TaskStatus | undefined,
  wants: (task: Task) => boolean
): Stream.Stream<TaskWithHistory, TaskStoreError, TaskStore> =>
  Stream.unwrap(
    Effect.map(TaskStore, (store) =>
      status === undefined
        ? Stream.map(records(store, { maxPageSize }), ({ attempts, task }) =>
            wants(task) ? { ...task, history: attempts } : task
          )
        : // The ledger of each task by itself: otherwise the tasks of every status would be read.
          Stream.mapEffect(
            pages({ status }),
            (task): Effect.Effect<TaskWithHistory, TaskStoreError> =>
              wants(task)
                ? Effect.map(store.attempts(task.id), (history) => ({ ...task, history }))
                : Effect.succeed(task),
            { concurrency: ledgerConcurrency }
          )
    )
  )
