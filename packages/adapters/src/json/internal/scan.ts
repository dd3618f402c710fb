import * as Result from "effect/Result"

/** A part of a text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** An object, and where the value of each of its fields is. */
export interface ObjectSpan extends Span {
  readonly fields: ReadonlyMap<string, Span>
}

/** What a file of tasks is made of. */
export interface Scan {
  readonly root: ObjectSpan
  readonly tasks: ReadonlyArray<ObjectSpan>
}

/** A mistake in a text, and where it is. */
export class Fault {
  readonly offset: number
  readonly problem: string

  constructor(offset: number, problem: string) {
    this.offset = offset
    this.problem = problem
  }
}

/**
 * Finds the tasks in a text, and their fields. `JSON.parse` does not tell where a value is: not in its errors, and not so
 * that the text of a value can be kept to the letter, with numbers that JavaScript would round.
 */
export const scan = (text: string): Result.Result<Scan, Fault> => {
  try {
    return Result.succeed(new Scanner(text).document())
  } catch (fault) {
    if (fault instanceof Fault) return Result.fail(fault)
    throw fault
  }
}

/** The line and column of a place, both counted from 1. */
export const position = (text: string, offset: number): string => {
  const before = text.slice(0, offset).split("\n")
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
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

const isSpace = (code: number) => code === 32 || code === LF || code === 13 || code === 9

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y

/** Nobody nests deeper on purpose, and the stack is not endless. */
const maxDepth = 1000

class Scanner {
  private readonly text: string
  private index = 0

  constructor(text: string) {
    this.text = text
  }

  document(): Scan {
    let tasks: ReadonlyArray<ObjectSpan> = []
    if (this.peek() !== OPEN_BRACE) this.expected('an object that holds "tasks"')
    const root = this.object(0, (key) => {
      if (key !== "tasks") return this.value(1)
      // As everywhere in JSON, the last of several fields of one name counts.
      const found: Array<ObjectSpan> = []
      if (this.peek() !== OPEN_BRACKET) this.expected('a list as "tasks"')
      this.sequence(1, CLOSE_BRACKET, () => {
        if (this.peek() !== OPEN_BRACE) this.expected("a task, which is an object")
        found.push(this.object(2, () => this.value(3)))
      })
      tasks = found
    })
    if (!Number.isNaN(this.peek())) this.expected("nothing more")
    return { root, tasks }
  }

  private value(depth: number): void {
    switch (this.peek()) {
      case OPEN_BRACE:
        this.object(depth, () => this.value(depth + 1))
        return
      case OPEN_BRACKET:
        return this.sequence(depth, CLOSE_BRACKET, () => this.value(depth + 1))
      case QUOTE:
        this.string()
        return
      default:
        scalar.lastIndex = this.index
        if (!scalar.test(this.text)) this.expected("a value")
        this.index = scalar.lastIndex
    }
  }

  private object(depth: number, value: (key: string) => void): ObjectSpan {
    const { index: start } = this
    const fields = new Map<string, Span>()
    this.sequence(depth, CLOSE_BRACE, () => {
      if (this.peek() !== QUOTE) this.expected("a field name in double quotes")
      const key = this.string()
      if (this.peek() !== COLON) this.expected("a colon after the field name")
      this.index++
      this.peek()
      const { index: start } = this
      value(key)
      fields.set(key, { start, end: this.index })
    })
    return { start, end: this.index, fields }
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
      if (next !== COMMA && next !== close) this.expected(`a comma or ${String.fromCharCode(close)}`)
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
          ? "a string is not closed on its line"
          : "a string has an unknown escape (a backslash is written \\\\) or a control character"
      )
    }
  }

  private isEscaped(quote: number): boolean {
    let before = quote - 1
    while (this.text.charCodeAt(before) === BACKSLASH) before--
    return (quote - before) % 2 === 0
  }

  /** The first character that is not white space; NaN at the end. */
  private peek(): number {
    for (; ; this.index++) {
      const code = this.text.charCodeAt(this.index)
      if (!isSpace(code)) return code
    }
  }

  private expected(what: string): never {
    const next = /[^\r\n]{0,20}/y
    next.lastIndex = this.index
    const found = next.exec(this.text)?.[0] ?? ""
    return this.fault(`expected ${what}, found ${found === "" ? "the end" : found}`)
  }

  private fault(problem: string): never {
    throw new Fault(this.index, problem)
  }
}
