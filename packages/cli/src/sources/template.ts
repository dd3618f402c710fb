/** Templates: descriptions with placeholders for a record's fields, such as `Summarise {{title}}`. */
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { isJsonObject } from "./Entry.ts"

/** A parsed template. */
export interface Template {
  readonly parts: ReadonlyArray<Part>
}

type Part = { readonly _tag: "Text"; readonly text: string } | { readonly _tag: "Field"; readonly name: string }

/**
 * Parses a template, or fails with a description of the problem. A name may have spaces around it; `\{{` is a literal `{{`.
 */
export const parse = (source: string): Result.Result<Template, string> => {
  const parts: Array<Part> = []
  let at = 0
  let text = ""
  while (at < source.length) {
    const open = source.indexOf("{{", at)
    if (open === -1) break
    if (source[open - 1] === "\\" && open > at) {
      text += `${source.slice(at, open - 1)}{{`
      at = open + 2
      continue
    }
    const close = source.indexOf("}}", open)
    if (close === -1) {
      return Result.fail(`the {{ at character ${open + 1} has no closing }}; for a literal {{, write \\{{`)
    }
    const name = source.slice(open + 2, close).trim()
    if (name === "") {
      return Result.fail(`the {{ }} at character ${open + 1} names no field; for a literal {{, write \\{{`)
    }
    parts.push({ _tag: "Text", text: text + source.slice(at, open) }, { _tag: "Field", name })
    text = ""
    at = close + 2
  }
  parts.push({ _tag: "Text", text: text + source.slice(at) })
  return Result.succeed({ parts })
}

/**
 * Renders a template, or reports the field that is missing. A name is a field or a path to a nested field, such as
 * `author.name` or `files.0`. Null is rendered as nothing; lists and objects are rendered as JSON.
 */
export const render = (template: Template, fields: Schema.JsonObject): Result.Result<string, string> => {
  let rendered = ""
  for (const part of template.parts) {
    if (part._tag === "Text") {
      rendered += part.text
      continue
    }
    const value = lookUp(fields, part.name)
    if (value === undefined) {
      return Result.fail(
        `the template uses {{${part.name}}}, but this record does not have this field; its fields are ${list(Object.keys(fields))}${meant(part.name, Object.keys(fields))}`
      )
    }
    if (typeof value === "string") rendered += value
    else if (value !== null) rendered += JSON.stringify(value)
  }
  return Result.succeed(rendered)
}

/** The names of the placeholders. */
export const names = (template: Template): ReadonlyArray<string> =>
  template.parts.flatMap((part) => (part._tag === "Field" ? [part.name] : []))

/** The part of a JSON value at a path such as `author.name` or `files.0`. */
export const at = (value: Schema.Json, path: ReadonlyArray<string>): Schema.Json | undefined => {
  let found: Schema.Json | undefined = value
  for (const key of path) {
    if (Array.isArray(found)) found = /^\d+$/.test(key) ? found[Number(key)] : undefined
    else if (isJsonObject(found) && Object.hasOwn(found, key)) found = found[key]
    else return undefined
  }
  return found
}

/** Whether a template has a placeholder for a field, or for a part of it. */
export const uses = (template: Template, name: string): boolean =>
  template.parts.some((part) => part._tag === "Field" && (part.name === name || part.name.startsWith(`${name}.`)))

/** Reports a field of the template that is not a column of the table. */
export const missingColumn = (template: Template, columns: ReadonlyArray<string>): string | undefined => {
  const missing = template.parts.find((part) => part._tag === "Field" && !columns.includes(part.name))
  return missing?._tag === "Field"
    ? `the template uses {{${missing.name}}}, but this column does not exist; the columns are ${list(columns)}${meant(missing.name, columns)}`
    : undefined
}

const meant = (name: string, names: ReadonlyArray<string>): string => {
  const other = names.find((other) => other.toLowerCase() === name.toLowerCase())
  return other === undefined ? "" : `; did you mean {{${other}}}?`
}

/** A list of names for a message. */
export const list = (names: ReadonlyArray<string>): string => {
  const some = names.slice(0, 20).join(", ")
  return names.length > 20 ? `${some}, …` : some === "" ? "(none)" : some
}

const lookUp = (fields: Schema.JsonObject, name: string): Schema.Json | undefined =>
  Object.hasOwn(fields, name) ? fields[name] : at(fields, name.split("."))
