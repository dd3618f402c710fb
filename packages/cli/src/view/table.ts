/** Aligned columns for a list of any length: the widths come from the first rows, later rows can only widen them. */
import * as Stream from "effect/Stream"
import { displayWidth, fit, pad } from "./width.ts"
import type { Paint, Style } from "./style.ts"
import { count } from "./quantity.ts"
import { safeText } from "./safeText.ts"

/** One column of a table of `A`. */
export interface Column<A> {
  readonly header: string
  readonly align?: "left" | "right" | undefined
  /** Whether it may be cut when the last column has no room. */
  readonly flexible?: boolean | undefined
  /** One line without control characters. */
  readonly text: (row: A) => string
  readonly paint?: ((row: A) => Paint) | undefined
}

/** Where a table is shown. */
export interface Canvas {
  readonly style: Style
  /** The cells that a line may take; `Infinity` cuts nothing. */
  readonly columns: number
}

const gap = "  "
/** What is left to the last column, which holds the text, before another one is cut. */
const minimalLast = 16
const minimalFlexible = 8

/** The last column takes what is left; when that is too little, the flexible ones give way. */
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

/** The lines of a table, its headers first; nothing for no rows. The columns may depend on what the first rows hold. */
export const lines =
  <A>(columnsFor: (first: ReadonlyArray<A>) => ReadonlyArray<Column<A>>, canvas: Canvas) =>
  <E, R>(rows: Stream.Stream<A, E, R>): Stream.Stream<string, E, R> =>
    Stream.mapAccumArray(
      rows,
      (): Layout<A> | undefined => undefined,
      (layout, page) => {
        const columns = layout?.columns ?? columnsFor(page)
        const before = layout?.natural ?? columns.map((column) => column.header.length)
        const cells = page.map((row) => columns.map((column) => column.text(row)))
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
 * Someone's text as lines, each behind `margin`, without the blank lines around it. With `most`, what goes beyond that many
 * lines is counted and not shown.
 */
export const block = (text: string, margin: string, most = Infinity): ReadonlyArray<string> => {
  const lines = safeText(text)
    .replace(/^(?:[^\S\n]*\n)+/, "")
    .trimEnd()
    .split("\n")
  // Not just two lines: the note would take as much room.
  const kept = lines.length > most + 1 ? lines.slice(0, most) : lines
  const note = kept === lines ? [] : [`… ${count(lines.length - most, "more line")}`]
  return [...kept, ...note].map((line) => (line === "" ? "" : margin + line))
}

/** Labels in a column of their own, and what they stand for. */
export const facts = (
  entries: ReadonlyArray<readonly [label: string, value: string]>,
  options: {
    readonly style: Style
    readonly margin: string
    /** Where values are cut; nowhere if it is left out, for a value may hold colours. */
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
