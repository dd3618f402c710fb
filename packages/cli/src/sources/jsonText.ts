/**
 * A JSON parser that reports positions: the line where each element of a list starts, and the line and column of an error.
 * `JSON.parse` reports neither.
 */
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

/** The elements of a list, or of the list `tasks` in an object; undefined for any other document. */
export const elements = (text: string): Result.Result<ReadonlyArray<JsonElement> | undefined, JsonFault> => {
  const reader = new JsonReader(text)
  try {
    return Result.succeed(reader.document())
  } catch (fault) {
    if (fault instanceof Fault) return Result.fail(fault)
    throw fault
  }
}

class Fault {
  readonly line: number
  readonly message: string

  constructor(line: number, message: string) {
    this.line = line
    this.message = message
  }
}

const LF = 10
const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

const maxDepth = 1000

const isSpace = (code: number) => code === LF || code === 32 || code === 13 || code === 9

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y

class JsonReader {
  private readonly text: string
  private index = 0
  private line = 1
  private lineStart = 0

  constructor(text: string) {
    this.text = text
  }

  document(): ReadonlyArray<JsonElement> | undefined {
    let found: ReadonlyArray<JsonElement> | undefined
    const start = this.peek()
    if (start === OPEN_BRACKET) found = this.list(0)
    else if (start === OPEN_BRACE) {
      this.object(0, (key) => {
        if (key === "tasks" && this.peek() === OPEN_BRACKET) found = this.list(1)
        else this.value(1)
      })
    } else this.value(0)
    if (!Number.isNaN(this.peek())) this.fail("the end")
    return found
  }

  private value(depth: number): void {
    switch (this.peek()) {
      case OPEN_BRACE:
        return this.object(depth, () => this.value(depth + 1))
      case OPEN_BRACKET:
        return this.sequence(depth, CLOSE_BRACKET, () => this.value(depth + 1))
      case QUOTE:
        this.string()
        return
      default:
        scalar.lastIndex = this.index
        if (!scalar.test(this.text)) this.fail("a value")
        this.index = scalar.lastIndex
    }
  }

  private list(depth: number): ReadonlyArray<JsonElement> {
    const found: Array<JsonElement> = []
    this.sequence(depth, CLOSE_BRACKET, () => {
      this.peek()
      const { index, line } = this
      this.value(depth + 1)
      found.push({ line, text: this.text.slice(index, this.index) })
    })
    return found
  }

  private object(depth: number, value: (key: string) => void): void {
    this.sequence(depth, CLOSE_BRACE, () => {
      if (this.peek() !== QUOTE) this.fail("a field name in double quotes")
      const key = this.string()
      if (this.peek() !== COLON) this.fail("a colon after the field name")
      this.index++
      value(key)
    })
  }

  private sequence(depth: number, close: number, item: () => void): void {
    if (depth === maxDepth) this.fault(`nested deeper than ${maxDepth} levels`)
    this.index++
    if (this.peek() === close) {
      this.index++
      return
    }
    for (;;) {
      item()
      const next = this.peek()
      if (next !== COMMA && next !== close) this.fail(`a comma or ${String.fromCharCode(close)}`)
      this.index++
      if (next === close) return
    }
  }

  private string(): string {
    const { index } = this
    let end = index
    do {
      end = this.text.indexOf('"', end + 1)
    } while (end !== -1 && this.isEscaped(end))
    const literal = this.text.slice(index, end === -1 ? undefined : end + 1)
    try {
      const value: string = JSON.parse(literal)
      this.index = end + 1
      return value
    } catch {
      return this.fault(
        end === -1 || literal.includes("\n")
          ? "this string is not closed before the end of its line"
          : "this string has an invalid escape (write a backslash as \\\\) or a control character"
      )
    }
  }

  private isEscaped(quote: number): boolean {
    let before = quote - 1
    while (this.text.charCodeAt(before) === BACKSLASH) before--
    return (quote - before) % 2 === 0
  }

  /** Skips white space and returns the next character code, or NaN at the end. */
  private peek(): number {
    for (; ; this.index++) {
      const code = this.text.charCodeAt(this.index)
      if (!isSpace(code)) return code
      if (code === LF) {
        this.line++
        this.lineStart = this.index + 1
      }
    }
  }

  private fail(expected: string): never {
    const next = /[^\r\n]{0,20}/y
    next.lastIndex = this.index
    const found = next.exec(this.text)?.[0] ?? ""
    return this.fault(`expected ${expected}, found ${found === "" ? "the end" : found}`)
  }

  private fault(message: string): never {
    throw new Fault(this.line, `not valid JSON at column ${this.index - this.lineStart + 1}: ${message}`)
  }
}
