/** Tables: comma- or tab-separated values with a header row. */
import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import * as Source from "../Source.ts"
import type { SourceError } from "../SourceError.ts"

/** Options for reading a table. */
export interface CsvOptions {
  /** Without one, the delimiter that the header row has most of is used: a comma, a semicolon or a tab. */
  readonly delimiter: string | undefined
  /** Describes a problem with the columns, so that it is reported once instead of for every row. */
  readonly checkColumns: (columns: ReadonlyArray<string>) => string | undefined
}

/**
 * Reads a table. Each row has the number of its first line, also after quoted fields that contain line breaks. Blank lines
 * and columns without a name are skipped. Reading ends at a row with wrong quotes, because the rows after it cannot be
 * told apart reliably.
 */
export const read = (
  source: Source.Source,
  { checkColumns, delimiter }: CsvOptions
): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.map(delimiter === undefined ? findDelimiter(source) : Effect.succeed(delimiter), (delimiter) =>
      (delimiter === "\t" ? quoteBareQuotes(Source.blocks(source)) : Source.blocks(source)).pipe(
        Stream.pipeThroughChannelOrFail(Csv.decodeString<SourceError>({ delimiter, maxRecordSize })),
        Stream.mapAccumArray(
          (): Table => ({ line: 1, columns: undefined, rejected: false }),
          (table, rows) => [table, rows.flatMap((row) => entries(table, row, checkColumns))]
        ),
        Stream.catchTag("CsvError", (error) => Stream.succeed(Entry.problem(error.line, describe(error))))
      )
    )
  )

/** Spreadsheets write semicolons where the comma is the decimal separator. */
const findDelimiter = (source: Source.Source) =>
  Effect.map(Stream.runHead(Source.lines(source)), (line) => {
    const header = Option.match(line, { onNone: () => "", onSome: ({ text }) => text.replaceAll(/"[^"]*"/g, "") })
    const count = (delimiter: string) => header.split(delimiter).length
    return [";", "\t"].reduce((best, other) => (count(other) > count(best) ? other : best), ",")
  })

const quoted = /^"(?:[^"]|"")*"$/
const openQuote = /^"(?:[^"]|"")*$/

/**
 * In tab-separated values, a quote is text, unless a field begins and ends with one, as spreadsheets write fields that
 * contain a tab or a line break. Such quotes of text are quoted here, because the parser expects them in quotes.
 */
const quoteBareQuotes = <E, R>(blocks: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapAccum(
    blocks,
    () => false,
    (isOpen, block) => {
      if (!isOpen && !block.includes('"')) return [false, [block]]
      let open: boolean = isOpen
      const lines = block.split("\n").map((line) => {
        const end = line.endsWith("\r") ? "\r" : ""
        const fields = line.slice(0, line.length - end.length).split("\t")
        return fields
          .map((field) => {
            if (open) {
              open = !/^(?:[^"]|"")*"$/.test(field)
              return field
            }
            if (!field.includes('"') || quoted.test(field)) return field
            open = openQuote.test(field)
            return open ? field : `"${field.replaceAll('"', '""')}"`
          })
          .join("\t")
          .concat(end)
      })
      return [open, [lines.join("\n")]]
    }
  )

/** In UTF-16 code units. Without a limit, a field with an unclosed quote would contain the rest of the file. */
const maxRecordSize = 64 * 1024 * 1024

interface Table {
  /** The line of the next row, counted here because the parser reports lines in errors only. */
  line: number
  columns: ReadonlyArray<string> | undefined
  rejected: boolean
}

const entries = (table: Table, row: Csv.Row, checkColumns: CsvOptions["checkColumns"]): ReadonlyArray<Entry.Entry> => {
  const { columns, line } = table
  table.line += 1 + row.reduce((count, cell) => count + lineBreaks(cell), 0)
  if (table.rejected || (row.length === 1 && row[0]?.trim() === "")) return []
  if (columns === undefined) {
    table.columns = row.map((name) => name.trim())
    const named = table.columns.filter((name) => name !== "")
    const wrong = repeated(table.columns) ?? checkColumns(named)
    table.rejected = wrong !== undefined
    return wrong === undefined ? [] : [Entry.problem(line, wrong)]
  }
  if (row.length !== columns.length) {
    return [
      Entry.problem(
        line,
        `this row has ${count(row.length, "field")}, but there are ${count(columns.length, "column")}; ` +
          `put fields that contain a delimiter, a quote or a line break in double quotes`
      )
    ]
  }
  const fields = columns.map((name, index) => [name, row[index] ?? ""] as const).filter(([name]) => name !== "")
  return [Entry.record(line, Object.fromEntries(fields))]
}

const lineBreaks = (cell: string): number =>
  cell.includes("\n") || cell.includes("\r") ? (cell.match(/\r\n|\r|\n/g)?.length ?? 0) : 0

const repeated = (columns: ReadonlyArray<string>): string | undefined => {
  const name = columns.find((name, index) => name !== "" && columns.indexOf(name) !== index)
  return name === undefined ? undefined : `two columns are named ${JSON.stringify(name)}; rename one of them`
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`

const describe = (error: Csv.CsvError): string => {
  const field = error.column === undefined ? "a field" : `field ${error.column}`
  if (error.kind === "RecordSize") {
    return "the row that starts here is larger than 64 MiB; check for a missing double quote at the end of a field"
  }
  return error.message.startsWith("Unterminated")
    ? `${field} of this row starts with a double quote that is never closed`
    : `${field} of this row has a double quote in the middle; put the field in double quotes and write the inner ones twice ("")`
}
