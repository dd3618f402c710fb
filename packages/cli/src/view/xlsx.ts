/** Tasks as an Excel workbook. */
import * as Effect from "effect/Effect"
import writeXlsxFile, { type Cell, type Row } from "write-excel-file/node"
import type { TaskWithHistory } from "./json.ts"
import { type DataColumn, type TaskColumn, typed } from "./tableColumns.ts"

/** Excel refuses a file with a longer text in a cell. */
const maxCharacters = 32_767

const fit = (text: string): string => (text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters - 1)}…`)

/** Texts have a type, so that none of them becomes a formula. */
const cell = (value: ReturnType<TaskColumn["value"]>): Cell => {
  if (value === null) return null
  if (value instanceof Date) return { type: Date, value, format: "yyyy-mm-dd hh:mm:ss" }
  if (typeof value === "number") return { type: Number, value }
  if (typeof value === "boolean") return { type: Boolean, value }
  return value === "" ? null : { type: String, value: fit(value) }
}

/** Holds all rows and the file in memory. */
export const make = (columns: ReadonlyArray<TaskColumn>, data: ReadonlyArray<DataColumn>) => {
  const all = [...columns, ...data.map(typed)]
  const rows: Array<Row> = [all.map(({ name }) => ({ type: String, value: fit(name), fontWeight: "bold" }))]
  return {
    add: (task: TaskWithHistory): void => {
      rows.push(all.map(({ value }) => cell(value(task))))
    },
    finish: Effect.map(
      Effect.promise(() => writeXlsxFile(rows, { sheet: "Tasks", stickyRowsCount: 1 }).toBuffer()),
      (buffer) => new Uint8Array(buffer)
    )
  }
}
