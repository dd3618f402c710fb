/** Tasks as a table: the columns of their source and the fields of their results, next to the columns of every task. */
import type { Task } from "@baton/core/Task"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** The type of a column's values; `text` holds everything else as JSON. */
export type ColumnType = "boolean" | "integer" | "number" | "text"

/** A column that some tasks have a value for. */
export interface DataColumn {
  readonly name: string
  readonly type: ColumnType
  readonly value: (task: Task) => Schema.Json | undefined
}

const decodeObject = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))

type Fields = Readonly<Record<string, Schema.Json>>

/** The fields of a result that is a JSON object. */
export const resultFields = ({ result }: Task): Fields | undefined =>
  result?.trimStart().startsWith("{") === true ? Option.getOrUndefined(decodeObject(result)) : undefined

const noFields: Fields = {}

const fieldsOf = (task: Task): Fields => resultFields(task) ?? noFields

const typeOf = (value: Schema.Json): ColumnType => {
  if (typeof value === "boolean") return "boolean"
  if (typeof value !== "number") return "text"
  return Number.isSafeInteger(value) ? "integer" : "number"
}

const common = (one: ColumnType, other: ColumnType): ColumnType => {
  if (one === other) return one
  const isNumeric = (type: ColumnType) => type === "integer" || type === "number"
  return isNumeric(one) && isNumeric(other) ? "number" : "text"
}

/** Finds the columns in a first pass over the tasks, because a table needs all of them in its first row. */
export class DataColumns {
  private readonly source = new Map<string, ColumnType | undefined>()
  private readonly result = new Map<string, ColumnType | undefined>()
  private readonly taken: ReadonlySet<string>

  constructor(taken: ReadonlyArray<string>) {
    this.taken = new Set(taken)
  }

  add(task: Task): void {
    note(this.source, task.metadata)
    note(this.result, fieldsOf(task))
  }

  /** The columns in the order in which they were found; those of the source come first. */
  get all(): ReadonlyArray<DataColumn> {
    const columns = [...this.source].map(([key, type = "text"]): DataColumn => ({
      name: this.taken.has(key) ? `source.${key}` : key,
      type,
      value: ({ metadata }) => (Object.hasOwn(metadata, key) ? metadata[key] : undefined)
    }))
    const fields = [...this.result].map(([key, type = "text"]): DataColumn => ({
      name: `result.${key}`,
      type,
      value: (task) => {
        const found = fieldsOf(task)
        return Object.hasOwn(found, key) ? found[key] : undefined
      }
    }))
    return [...columns, ...fields]
  }
}

const note = (types: Map<string, ColumnType | undefined>, fields: Fields): void => {
  for (const [key, value] of Object.entries(fields)) {
    const before = types.get(key)
    types.set(key, value === null ? before : before === undefined ? typeOf(value) : common(before, typeOf(value)))
  }
}

/** A value as the text of a cell; nothing for a missing one. */
export const cellText = (value: Schema.Json | undefined): string =>
  value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value)
