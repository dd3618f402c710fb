/** The entries of a source, before they become tasks. */
import type * as Schema from "effect/Schema"

/** A record, an item that is already done, or a problem, each with the line where it starts. */
export type Entry =
  | { readonly _tag: "Record"; readonly line: number; readonly fields: Schema.JsonObject }
  | { readonly _tag: "Done"; readonly line: number }
  | { readonly _tag: "Problem"; readonly line: number; readonly message: string }

/** The fields of a task that a field of a record can be chosen for. */
export const taskFields = [
  "id",
  "description",
  "metadata",
  "priority",
  "availableAt",
  "dependsOn",
  "concurrencyKey"
] as const

export type TaskField = (typeof taskFields)[number]

/** An entry for a record. */
export const record = (line: number, fields: Schema.JsonObject): Entry => ({ _tag: "Record", line, fields })

/** A record with only a description. */
export const described = (line: number, description: string): Entry => record(line, { description })

/** An entry for a problem. */
export const problem = (line: number, message: string): Entry => ({ _tag: "Problem", line, message })

/** The entry for a value of a JSON or YAML document. */
export const fromJson = (line: number, value: Schema.Json): Entry => {
  if (typeof value === "string") return described(line, value)
  return isJsonObject(value)
    ? record(line, value)
    : problem(line, `expected an object with a description, or a string, but found ${show(value)}`)
}

/** Whether a JSON value is an object. */
export const isJsonObject = (value: Schema.Json | undefined): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A short form of a value, for messages. */
export const show = (value: Schema.Json): string => {
  if (Array.isArray(value)) return "a list"
  if (isJsonObject(value)) return "an object"
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
