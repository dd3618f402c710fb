/** Tables for lists of any length: the first rows determine the widths of columns, and later rows can only widen them. */
import * as Stream from "effect/Stream"
import { displayWidth, fit, pad } from "./width.ts"
import type { Paint, Style } from "./style.ts"
import { count } from "./quantity.ts"
import { safeText } from "./safeText.ts"

/** One column of a table of `A`. */
export interface Column<A> {
  readonly header: string
  readonly align?: "left" | "right" | undefined
  /** Whether the column may be cut if the last column has too little space. */
  readonly flexible?: boolean | undefined
  /** The text of a cell: one line. */
  readonly text: (row: A) => string
  readonly paint?: ((row: A) => Paint) | undefined
}

/** The output that a table is shown on. */
export interface Canvas {
  readonly style: Style
  /** The maximum width of a line; `Infinity` cuts nothing. */
  readonly columns: number
}

const gap = "  "
/** The minimum width of the last column before other columns are cut. */
const minimalLast = 16
const minimalFlexible = 8

/** The last column gets the remaining width; if it is too small, flexible columns are cut. */
const fitColumns = <A>(columns: ReadonlyArray<Column<A>>, natural: ReadonlyArray<number>, cells: number) => {
  const last = columns.length - 1
  const gaps = last * gap.length
  const sum = (widths: ReadonlyArray<number>) => widths.reduce((total, width) => total + width, 0)
  const wanted = Math.min(minimalLast, natural[last] ?? 0)
  let lacking = sum(natural.slice(0, last)) + gaps + wanted - cells
  const others = natural.slice(0, last).map((width, index) => {
    if (lacking <= 0 || columns[index]?.flexible !== true) return width
    const cut = Math.min(lacking, Math.max(0, width - minimalFlexible))
    lacking -= cut
    return width - cut
  })
  return [...others, Math.max(1, Math.min(natural[last] ?? 0, cells - sum(others) - gaps))]
}

/** The lines of a table with headers; empty without rows. The columns can depend on the first rows. */
export const lines =
  <A>(columnsFor: (first: ReadonlyArray<A>) => ReadonlyArray<Column<A>>, canvas: Canvas) =>
  <E, R>(rows: Stream.Stream<A, E, R>): Stream.Stream<string, E, R> =>
    Stream.mapAccumArray(
      rows,
      (): Layout<A> | undefined => undefined,
      (layout, page) => {
        const columns = layout?.columns ?? columnsFor(page)
        const before = layout?.natural ?? columns.map((column) => column.header.length)
        const cells = page.map((row) => columns.map((column) => safeText(column.text(row))))
        const natural = before.map((width, index) =>
          cells.reduce((widest, row) => Math.max(widest, displayWidth(row[index] ?? "")), width)
        )
        const line = lineOf(columns, fitColumns(columns, natural, canvas.columns))
        const headers = line(
          columns.map((column) => column.header),
          () => canvas.style.dim
        )
        const body = page.map((row, at) => line(cells[at] ?? [], (column) => column.paint?.(row) ?? unpainted))
        return [{ columns, natural }, layout === undefined ? [headers, ...body] : body]
      }
    )

interface Layout<A> {
  readonly columns: ReadonlyArray<Column<A>>
  readonly natural: ReadonlyArray<number>
}

const unpainted: Paint = (text) => text

const lineOf =
  <A>(columns: ReadonlyArray<Column<A>>, widths: ReadonlyArray<number>) =>
  (cells: ReadonlyArray<string>, paint: (column: Column<A>) => Paint): string =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0
        const text = fit(cells[index] ?? "", width)
        const isLast = index === columns.length - 1
        return paint(column)(isLast && column.align !== "right" ? text : pad(text, width, column.align))
      })
      .join(gap)

/**
 * The lines of a text, each after `margin`, without surrounding blank lines. Lines beyond `max` are counted instead of
 * shown.
 */
export const block = (text: string, margin: string, max = Infinity): ReadonlyArray<string> => {
  const lines = withoutBlankLines(text).split("\n")
  // A single extra line is shown, because the note would take a line too.
  const kept = lines.length > max + 1 ? lines.slice(0, max) : lines
  const note = kept === lines ? [] : [`… ${count(lines.length - max, "more line")}`]
  return [...kept, ...note].map((line) => (line === "" ? "" : margin + line))
}

/** The same for a text that can have many megabytes: its lines are made one after the other. */
export function* longBlock(text: string, margin: string): Iterable<string> {
  const whole = withoutBlankLines(text)
  for (let start = 0; start <= whole.length;) {
    const found = whole.indexOf("\n", start)
    const end = found === -1 ? whole.length : found
    yield end === start ? "" : margin + whole.slice(start, end)
    start = end + 1
  }
}

const withoutBlankLines = (text: string): string =>
  safeText(text)
    .replace(/^(?:[^\S\n]*\n)+/, "")
    .trimEnd()

/** Lines of labels and values, with aligned values. */
export const labelledLines = (
  entries: ReadonlyArray<readonly [label: string, value: string]>,
  options: {
    readonly style: Style
    readonly margin: string
    /** The width at which values are cut; omit it for values with colours. */
    readonly columns?: number | undefined
  }
): ReadonlyArray<string> => {
  const { columns, margin, style } = options
  const width = entries.reduce((widest, [label]) => Math.max(widest, displayWidth(label)), 0)
  const room = columns === undefined ? undefined : columns - margin.length - width - 2
  return entries.map(([label, value]) =>
    `${margin}${style.dim(pad(label, width))}  ${room === undefined ? value : fit(value, room)}`.trimEnd()
  )
}
