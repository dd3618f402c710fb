/**
 * Lays out the live view for the size of a terminal. The lines never exceed its rows and columns.
 *
 * The layout is stable: tasks keep their lines, and numbers have room to grow.
 */
import type { Style, Paint } from "../style.ts"
import { firstLine, reasonLine } from "../safeText.ts"
import { fit, pad } from "../width.ts"
import { clock } from "../progressLine.ts"
import { line, type Canvas, overview, unpainted } from "./overview.ts"
import type { View, FailureRow, Hint, TaskRow } from "./View.ts"

/** The size of a terminal. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** Smaller terminals show one line instead of the view. */
const minSize: Size = { columns: 30, rows: 8 }

/** Whether the terminal is large enough for the view. */
export const hasRoom = ({ columns, rows }: Size): boolean => columns >= minSize.columns && rows >= minSize.rows

/** Smaller terminals have no blank lines and no headings. */
const minSpaciousRows = 14

/** The lines of the view. */
export const renderView = (view: View, { columns, rows }: Size, style: Style): ReadonlyArray<string> => {
  const canvas: Canvas = { columns, style, isNarrow: columns < 60 }
  const isSpacious = rows >= minSpaciousRows
  const footer = line(
    view.hints.map(([key, effect]) => ({
      text: key === "" ? effect : `${key} ${effect}`,
      paint: (text) =>
        key === "" ? style.dim(text) : `${style.bold(text.slice(0, key.length))}${style.dim(text.slice(key.length))}`
    })),
    columns
  )
  const blank = isSpacious ? [""] : []
  const bottom = footer === "" ? [] : [...blank, footer]
  // At least two lines are for tasks, even if lines of the overview have to be omitted.
  const top = overview(view, canvas).slice(0, Math.max(2, rows - bottom.length - 2))
  const middle = rows - top.length - bottom.length
  return [...top, ...body(view, canvas, middle, isSpacious), ...bottom]
}

const body = (view: View, canvas: Canvas, rows: number, isSpacious: boolean): ReadonlyArray<string> => {
  const headingRows = isSpacious ? 2 : 0
  // Reserved for failures from the start, so that the first failure does not shrink the list of tasks.
  const reserved = isSpacious ? headingRows + Math.max(1, Math.floor(rows / 5)) : Math.min(1, Math.max(0, rows - 3))
  const wanted = Math.max(view.tasks.length, view.message === undefined ? 0 : 1)
  const taskRows = Math.max(0, Math.min(wanted, rows - headingRows - reserved))
  const failed = Math.min(view.failures.length, rows - headingRows - taskRows - (isSpacious ? headingRows : 0))
  const tasks = [...(isSpacious ? ["", taskHeader(view, canvas)] : []), ...taskLines(view, canvas, taskRows)]
  const failures =
    failed <= 0
      ? []
      : [
          ...(isSpacious ? ["", canvas.style.dim("  latest failures")] : []),
          ...failureLines(view, canvas, Math.min(failed, isSpacious ? reserved - headingRows : reserved))
        ]
  const lines = [...tasks, ...failures]
  if (view.help === undefined) return lines
  const help = [...(isSpacious ? [""] : []), ...helpLines(view.help, canvas)].slice(0, rows)
  return [...help, ...Array<string>(Math.max(0, lines.length - help.length)).fill("")]
}

const gap = "  "
const ageCells = 6
const doingCells = 12

/** The widths of the columns, which are the same in both lists. */
interface Columns {
  readonly id: number
  readonly attempt: number
  /** The remaining width for the text of a running task. */
  readonly text: number
}

const columnsOf = (view: View, { columns, isNarrow }: Canvas): Columns => {
  const id = isNarrow ? 0 : Math.min(Math.max(view.idWidth, 4), columns < 120 ? 16 : 32)
  const attempt = isNarrow ? 0 : Math.max("attempt".length, attemptOf(9, view).length)
  const before = (id === 0 ? 0 : id + attempt + 2 * gap.length) + ageCells + doingCells + 3 * gap.length
  return { id, attempt, text: columns - before }
}

const attemptOf = (attempt: number, { maxAttempts }: View): string =>
  maxAttempts === undefined || maxAttempts === Infinity ? String(attempt) : `${attempt}/${maxAttempts}`

/** The first columns of both lists. */
const firstColumns = (
  row: { readonly id: string; readonly attempt: number; readonly ageMillis: number },
  view: View,
  { attempt, id }: Columns
): string => {
  const age = pad(clock(row.ageMillis), ageCells, "right")
  if (id === 0) return age
  return [pad(fit(firstLine(row.id), id), id), pad(attemptOf(row.attempt, view), attempt, "right"), age].join(gap)
}

/** The header of the running tasks. */
const taskHeader = (view: View, canvas: Canvas): string => {
  const { attempt, id } = columnsOf(view, canvas)
  const names = [pad("age", ageCells, "right"), pad("doing", doingCells), "task"]
  if (id > 0) names.unshift(pad("id", id), pad("attempt", attempt, "right"))
  return canvas.style.dim(gap + names.join(gap))
}

/** The lines of running tasks, limited to `rows`. */
const taskLines = (view: View, canvas: Canvas, rows: number): ReadonlyArray<string> => {
  const { columns, style } = canvas
  const shape = columnsOf(view, canvas)
  if (view.tasks.length === 0) {
    return view.message === undefined ? [] : [gap + style.dim(fit(view.message, columns - gap.length))]
  }
  const isCut = view.tasks.length > rows
  const shown = view.tasks.slice(0, isCut ? rows - 1 : rows)
  const lines = shown.map((row) => taskLine(row, view, shape, style))
  const hidden = view.running - shown.filter(({ doing }) => doing !== "ended").length
  return isCut && hidden > 0 ? [...lines, style.dim(`${gap}and ${hidden} more`)] : lines
}

const paints: Readonly<Record<TaskRow["doing"], (style: Style) => Paint>> = {
  executing: () => unpainted,
  verifying: ({ cyan }) => cyan,
  waiting: ({ yellow }) => yellow,
  "rate limited": ({ yellow }) => yellow,
  ended: ({ dim }) => dim
}

const taskLine = (row: TaskRow, view: View, shape: Columns, style: Style): string => {
  const paint = paints[row.doing](style)
  const doing = row.doing === "waiting" ? `retry ${clock(row.waitMillis)}` : row.doing
  const text = (row.doing === "ended" ? style.dim : unpainted)(fit(firstLine(row.text), shape.text))
  return `${gap}${style.dim(firstColumns(row, view, shape))}${gap}${paint(pad(fit(doing, doingCells), doingCells))}${gap}${text}`.trimEnd()
}

/** The lines of the latest failures. */
const failureLines = (view: View, canvas: Canvas, rows: number): ReadonlyArray<string> => {
  const shape = columnsOf(view, canvas)
  return view.failures.slice(0, rows).map((row) => failureLine(row, view, shape, canvas.style))
}

const failureLine = (row: FailureRow, view: View, shape: Columns, style: Style): string => {
  const mark = row.isFinal ? style.red("✗") : style.yellow("↻")
  const room = doingCells + gap.length + shape.text
  return `${mark} ${style.dim(firstColumns(row, view, shape))}${gap}${fit(reasonLine(row.feedback), room)}`.trimEnd()
}

/** The help on keys and commands, one per line. */
const helpLines = (hints: ReadonlyArray<Hint>, { columns, style }: Canvas): ReadonlyArray<string> => {
  const width = Math.max(...hints.map(([key]) => key.length))
  return hints.map(([key, effect]) => `${gap}${style.bold(pad(key, width))}${gap}${fit(effect, columns - width - 4)}`)
}
