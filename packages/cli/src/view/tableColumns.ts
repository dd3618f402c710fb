/** The columns of tables with types. */
import type { TaskWithHistory } from "./json.ts"
import { cellText, type ColumnType, type DataColumn } from "./resultTable.ts"

export type { DataColumn }

/** A column that every task has; unknown values are null. */
export interface TaskColumn {
  readonly name: string
  readonly type: "STRING" | "BOOLEAN" | "INT64" | "DOUBLE" | "TIMESTAMP"
  readonly value: (task: TaskWithHistory) => string | number | boolean | Date | null
}

const types = { boolean: "BOOLEAN", integer: "INT64", number: "DOUBLE", text: "STRING" } as const satisfies Record<
  ColumnType,
  TaskColumn["type"]
>

/** A column of the source or of the results, with the type of its values. */
export const typed = ({ name, type, value }: DataColumn): TaskColumn => ({
  name,
  type: types[type],
  value: (task) => {
    const found = value(task)
    if (found === undefined || found === null) return null
    return type === "text" || typeof found === "object" ? cellText(found) : found
  }
})
