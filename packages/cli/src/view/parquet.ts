/** Tasks as a Parquet file. */
import * as Effect from "effect/Effect"
import { type BasicType, ByteWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer"
import type { TaskWithHistory } from "./json.ts"
import { cellText, type ColumnType, type DataColumn } from "./resultTable.ts"

/** A column that every task has; unknown values are null. */
export interface TaskColumn {
  readonly name: string
  readonly type: "STRING" | "BOOLEAN" | "INT64" | "DOUBLE" | "TIMESTAMP"
  readonly value: (task: TaskWithHistory) => string | number | boolean | Date | null
}

const types = { boolean: "BOOLEAN", integer: "INT64", number: "DOUBLE", text: "STRING" } as const satisfies Record<
  ColumnType,
  BasicType
>

const typed = ({ name, type, value }: DataColumn): TaskColumn => ({
  name,
  type: types[type],
  value: (task) => {
    const found = value(task)
    if (found === undefined || found === null) return null
    return type === "text" || typeof found === "object" ? cellText(found) : found
  }
})

/** Writes row groups, one for each page of tasks, and holds the compressed file in memory. */
export const make = (columns: ReadonlyArray<TaskColumn>, data: ReadonlyArray<DataColumn>) => {
  const all = [...columns, ...data.map(typed)]
  const columnData = (tasks: ReadonlyArray<TaskWithHistory>) =>
    all.map(({ name, type, value }) => ({
      name,
      type,
      nullable: true,
      data: tasks.map((task) => {
        const found = value(task)
        return type === "INT64" && typeof found === "number" ? BigInt(found) : found
      })
    }))
  const bytes = new ByteWriter()
  const writer = new ParquetWriter({ writer: bytes, schema: schemaFromColumnData({ columnData: columnData([]) }) })
  return {
    write: (tasks: ReadonlyArray<TaskWithHistory>): Effect.Effect<void> =>
      Effect.promise(() => Promise.resolve(writer.write({ columnData: columnData(tasks) }))),
    finish: Effect.map(
      Effect.promise(() => Promise.resolve(writer.finish())),
      () => bytes.getBytes()
    )
  }
}
