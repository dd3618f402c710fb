/**
 * Tables: comma- or tab-separated values under a row of column names.
 *
 * @since 0.1.0
 */
import * as Csv from "effect/encoding/Csv"
import type * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Entry from "../Entry.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import * as sourceText from "../sourceText.ts"

/** What a table is read with. */
export interface CsvOptions {
  readonly delimiter: "," | "\t"
  /** Says what is wrong with the columns, if anything: once, instead of once a row. */
  readonly checkColumns: (columns: ReadonlyArray<string>) => string | undefined
}

/**
 * Reads a table. A row is on the line where it starts, whatever line breaks its quoted fields or those before it hold.
 * Blank lines are skipped, and a column without a name is left out. A row that breaks the quoting ends the reading, as
 * nothing after it can be trusted.
 *
 * @category streams
 * @since 0.1.0
 */
export const read = (
  source: Source,
  { checkColumns, delimiter }: CsvOptions
): Stream.Stream<Entry.Entry, SourceError, FileSystem.FileSystem> =>
  sourceText.blocks(source).pipe(
    Stream.pipeThroughChannelOrFail(Csv.decodeString<SourceError>({ delimiter, maxRecordSize })),
    Stream.mapAccumArray(
      (): Table => ({ line: 1, columns: undefined, rejected: false }),
      (table, rows) => [table, rows.flatMap((row) => entries(table, row, checkColumns))]
    ),
    Stream.catchTag("CsvError", (error) => Stream.succeed(Entry.problem(error.line, describe(error))))
  )

/** In UTF-16 code units; without a limit, a quote that is never closed would take in the rest of the file. */
const maxRecordSize = 64 * 1024 * 1024

interface Table {
  /** Where the next row starts. The parser names lines in errors only, but keeps the line breaks in the cells. */
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
    const wrong = repeated(table.columns) ?? checkColumns(table.columns.filter((name) => name !== ""))
    table.rejected = wrong !== undefined
    return wrong === undefined ? [] : [Entry.problem(line, wrong)]
  }
  if (row.length !== columns.length) {
    return [
      Entry.problem(
        line,
        `this row has ${count(row.length, "field")}, but there are ${count(columns.length, "column")}; ` +
          `a field with a comma, a quote or a line break in it goes in double quotes`
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
  return name === undefined ? undefined : `there are two columns ${JSON.stringify(name)}; give each a name of its own`
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`

const describe = (error: Csv.CsvError): string => {
  const field = error.column === undefined ? "a field" : `field ${error.column}`
  if (error.kind === "RecordSize") {
    return "the row that starts here is larger than 64 MiB; is a double quote missing at the end of a field?"
  }
  return error.message.startsWith("Unterminated")
    ? `the double quote that opens ${field} of this row is never closed`
    : `${field} of this row has a double quote in the middle; put the field in double quotes and double those in it ("")`
}
