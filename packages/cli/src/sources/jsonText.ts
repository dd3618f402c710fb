/** JSON text with positions: the line where each element of a list starts, and the line and column of an error. */
import * as JsonScanner from "@baton/adapters/internal/JsonScanner"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"

/** A syntax error in JSON text. */
export interface JsonFault {
  readonly line: number
  readonly message: string
}

/** An element of a list. */
export interface JsonElement {
  readonly line: number
  /** The element's source text. */
  readonly text: string
}

/** Parses JSON text. */
export const parse = (text: string): Result.Result<Schema.Json, JsonFault> => {
  try {
    const value: Schema.Json = JSON.parse(text)
    return Result.succeed(value)
  } catch {
    return Result.flatMap(elements(text), () => Result.fail({ line: 1, message: "not valid JSON" }))
  }
}

/**
 * The elements of a list, or of the list `tasks` in an object; undefined for any other document.
 */
export const elements = (text: string): Result.Result<ReadonlyArray<JsonElement> | undefined, JsonFault> =>
  Result.mapError(
    JsonScanner.scan(text, (scanner) => document(text, scanner)),
    ({ offset, problem }) => {
      const { column, line } = JsonScanner.position(text, offset)
      return { line, message: `not valid JSON at column ${column}: ${problem}` }
    }
  )

const document = (text: string, scanner: JsonScanner.JsonScanner): ReadonlyArray<JsonElement> | undefined => {
  let found: ReadonlyArray<JsonElement> | undefined
  const list = () => {
    const elements: Array<JsonElement> = []
    const span = scanner.list(() => {
      scanner.next()
      const { line } = scanner
      const { end, start } = scanner.value()
      elements.push({ line, text: text.slice(start, end) })
    })
    found = elements
    return span
  }
  const start = scanner.next()
  if (start === "[") list()
  else if (start === "{")
    scanner.object((name) => (name === "tasks" && scanner.next() === "[" ? list() : scanner.value()))
  else scanner.value()
  return found
}
