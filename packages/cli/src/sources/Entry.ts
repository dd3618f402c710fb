/**
 * What a source holds, before it becomes tasks.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"

/**
 * A record, something that is already done, or something that is wrong; each with the line where it starts.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | { readonly _tag: "Record"; readonly line: number; readonly fields: Schema.JsonObject }
  | { readonly _tag: "Done"; readonly line: number }
  | { readonly _tag: "Problem"; readonly line: number; readonly message: string }

/**
 * A record.
 *
 * @category constructors
 * @since 0.1.0
 */
export const record = (line: number, fields: Schema.JsonObject): Entry => ({ _tag: "Record", line, fields })

/**
 * A record that is nothing but its description.
 *
 * @category constructors
 * @since 0.1.0
 */
export const described = (line: number, description: string): Entry => record(line, { description })

/**
 * Something that is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const problem = (line: number, message: string): Entry => ({ _tag: "Problem", line, message })

/**
 * What a value of a JSON or YAML document is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromJson = (line: number, value: Schema.Json): Entry => {
  if (typeof value === "string") return described(line, value)
  return isJsonObject(value)
    ? record(line, value)
    : problem(line, `expected an object with a description, or a string; got ${show(value)}`)
}

/**
 * Tells an object from the other JSON values.
 *
 * @category guards
 * @since 0.1.0
 */
export const isJsonObject = (value: Schema.Json | undefined): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * A value as a message quotes it: short.
 *
 * @category converting
 * @since 0.1.0
 */
export const show = (value: Schema.Json): string => {
  if (Array.isArray(value)) return "a list"
  if (isJsonObject(value)) return "an object"
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
