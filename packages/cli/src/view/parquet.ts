/** Tasks as a Parquet file. */
import * as Effect from "effect/Effect"
import { ByteWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer"
import type { TaskWithHistory } from "./json.ts"
import { type DataColumn, type TaskColumn, typed } from "./tableColumns.ts"

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
