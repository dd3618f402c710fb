/**
 * Templates: a description with places that a record's fields fill, such as `Summarise {{title}}`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { isJsonObject } from "./Entry.ts"

/**
 * A template, taken apart.
 *
 * @category models
 * @since 0.1.0
 */
export interface Template {
  readonly parts: ReadonlyArray<Part>
}

type Part = { readonly _tag: "Text"; readonly text: string } | { readonly _tag: "Field"; readonly name: string }

/**
 * Reads a template, or says what is wrong with it. A name between braces may have spaces around it; `\{{` stands for two
 * literal braces.
 *
 * @category constructors
 * @since 0.1.0
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
      return Result.fail(`the {{ at character ${open + 1} has no closing }}; write \\{{ for literal braces`)
    }
    const name = source.slice(open + 2, close).trim()
    if (name === "") {
      return Result.fail(`the {{ }} at character ${open + 1} names no field; write \\{{ for literal braces`)
    }
    parts.push({ _tag: "Text", text: text + source.slice(at, open) }, { _tag: "Field", name })
    text = ""
    at = close + 2
  }
  parts.push({ _tag: "Text", text: text + source.slice(at) })
  return Result.succeed({ parts })
}

/**
 * Fills a template in, or says which field is missing. A name is that of a field, or a path to a field in a field, such as
 * `author.name` or `files.0`. Null fills in nothing; a list or an object, its JSON.
 *
 * @category converting
 * @since 0.1.0
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
        `the template's {{${part.name}}} is no field of this record; it has ${list(Object.keys(fields))}`
      )
    }
    if (typeof value === "string") rendered += value
    else if (value !== null) rendered += JSON.stringify(value)
  }
  return Result.succeed(rendered)
}

/**
 * Says which of a template's fields is no column of a table, if one is not.
 *
 * @category getters
 * @since 0.1.0
 */
export const missingColumn = (template: Template, columns: ReadonlyArray<string>): string | undefined => {
  const missing = template.parts.find((part) => part._tag === "Field" && !columns.includes(part.name))
  return missing?._tag === "Field"
    ? `the template's {{${missing.name}}} is no column; there are ${list(columns)}`
    : undefined
}

/**
 * Names as a message lists them.
 *
 * @category converting
 * @since 0.1.0
 */
export const list = (names: ReadonlyArray<string>): string => {
  const some = names.slice(0, 20).join(", ")
  return names.length > 20 ? `${some}, …` : some === "" ? "none" : some
}

const lookUp = (fields: Schema.JsonObject, name: string): Schema.Json | undefined => {
  if (Object.hasOwn(fields, name)) return fields[name]
  let value: Schema.Json | undefined = fields
  for (const key of name.split(".")) {
    if (Array.isArray(value)) value = /^\d+$/.test(key) ? value[Number(key)] : undefined
    else if (isJsonObject(value) && Object.hasOwn(value, key)) value = value[key]
    else return undefined
  }
  return value
}
