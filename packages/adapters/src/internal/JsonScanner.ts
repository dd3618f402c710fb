/**
 * Reads JSON text and reports where its values and syntax errors are. `JSON.parse` reports neither, and it rounds numbers
 * whose text may have to be kept.
 */
import * as Result from "effect/Result"

/** A part of a text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** An object, and the values of its fields. Of several fields with the same name, the last one counts. */
export interface ObjectSpan extends Span {
  readonly fields: ReadonlyMap<string, Span>
}

/** An error in a text, and its offset. */
export class JsonFault {
  readonly offset: number
  readonly problem: string

  constructor(offset: number, problem: string) {
    this.offset = offset
    this.problem = problem
  }
}

/** The line and column of an offset, both counted from 1. */
export const position = (text: string, offset: number): { readonly line: number; readonly column: number } => {
  const lines = text.slice(0, offset).split("\n")
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}

/** Reads a document, which is one value. `read` has to read exactly that. */
export const scan = <A>(text: string, read: (scanner: JsonScanner) => A): Result.Result<A, JsonFault> => {
  const scanner = new JsonScanner(text)
  try {
    const found = read(scanner)
    if (scanner.next() !== "") scanner.expected("the end")
    return Result.succeed(found)
  } catch (fault) {
    if (fault instanceof JsonFault) return Result.fail(fault)
    throw fault
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

const isSpace = (code: number) => code === LF || code === 32 || code === 13 || code === 9

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y

/** Deeper documents would exhaust the stack. */
const maxDepth = 1000

/** Reads one value after another. Its methods throw a `JsonFault`, which `scan` returns. */
export class JsonScanner {
  private readonly text: string
  private offset = 0
  private currentLine = 1
  private depth = 0

  constructor(text: string) {
    this.text = text
  }

  /** The line of the next character, counted from 1. */
  get line(): number {
    return this.currentLine
  }

  /** The next character that is not white space; empty at the end. */
  next(): string {
    this.peek()
    return this.text.charAt(this.offset)
  }

  /** Reads a value of any kind. */
  value(): Span {
    this.peek()
    const { offset: start } = this
    this.skip()
    return { start, end: this.offset }
  }

  /** Reads an object; `value` reads the value of a field. */
  object(value: (name: string) => Span): ObjectSpan {
    this.peek()
    const { offset: start } = this
    const fields = new Map<string, Span>()
    this.fields((name) => fields.set(name, value(name)))
    return { start, end: this.offset, fields }
  }

  /** Reads a list; `item` reads one of its elements. */
  list(item: () => void): Span {
    this.peek()
    const { offset: start } = this
    this.sequence(CLOSE_BRACKET, item)
    return { start, end: this.offset }
  }

  /** Fails because the next characters are not `what`. */
  expected(what: string): never {
    const rest = /[^\r\n]{0,20}/y
    rest.lastIndex = this.offset
    const found = rest.exec(this.text)?.[0] ?? ""
    return this.fault(`expected ${what}, found ${found === "" ? "the end" : found}`)
  }

  private peek(): number {
    for (; ; this.offset++) {
      const code = this.text.charCodeAt(this.offset)
      if (!isSpace(code)) return code
      if (code === LF) this.currentLine++
    }
  }

  private readonly skip = (): void => {
    switch (this.peek()) {
      case OPEN_BRACE:
        return this.fields(this.skip)
      case OPEN_BRACKET:
        return this.sequence(CLOSE_BRACKET, this.skip)
      case QUOTE:
        this.string()
        return
      default:
        scalar.lastIndex = this.offset
        if (!scalar.test(this.text)) this.expected("a value")
        this.offset = scalar.lastIndex
    }
  }

  private fields(value: (name: string) => void): void {
    this.sequence(CLOSE_BRACE, () => {
      if (this.peek() !== QUOTE) this.expected("a field name in double quotes")
      const name = this.string()
      if (this.peek() !== COLON) this.expected("a colon after the field name")
      this.offset++
      value(name)
    })
  }

  private sequence(close: number, item: () => void): void {
    if (this.depth === maxDepth) this.fault(`nested deeper than ${maxDepth} levels`)
    this.depth++
    this.offset++
    if (this.peek() !== close) {
      for (;;) {
        item()
        const next = this.peek()
        if (next === close) break
        if (next !== COMMA) this.expected(`a comma or ${String.fromCharCode(close)}`)
        this.offset++
      }
    }
    this.offset++
    this.depth--
  }

  private string(): string {
    const { offset } = this
    let end = offset
    do {
      end = this.text.indexOf('"', end + 1)
    } while (end !== -1 && this.isEscaped(end))
    const literal = this.text.slice(offset, end === -1 ? undefined : end + 1)
    try {
      const value: string = JSON.parse(literal)
      this.offset = end + 1
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

  private fault(problem: string): never {
    throw new JsonFault(this.offset, problem)
  }
}
