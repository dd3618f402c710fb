/**
 * The live view as lines for a terminal of some size. It never has more lines than there are rows, nor wider ones.
 *
 * What comes and goes keeps its place: tasks stay in their line, and figures have room to grow, so that the eye can rest.
 */
import type { Style, Paint } from "../style.ts"
import { firstLine } from "../safeText.ts"
import { fit, pad } from "../width.ts"
import { clock } from "../progressLine.ts"
import { line, type Canvas, overview, unpainted } from "./overview.ts"
import type { View, FailureRow, Hint, TaskRow } from "./View.ts"

/** How large a terminal is. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** Below this, one line has to do. */
const smallest: Size = { columns: 30, rows: 8 }

/** Whether there is room for the view at all. */
export const hasRoom = ({ columns, rows }: Size): boolean => columns >= smallest.columns && rows >= smallest.rows

/** With fewer rows than this, nothing is left empty to look good. */
const roomy = 14

/** The lines. */
export const layout = (view: View, { columns, rows }: Size, style: Style): ReadonlyArray<string> => {
  const canvas: Canvas = { columns, style, isNarrow: columns < 60 }
  const isRoomy = rows >= roomy
  const footer = line(
    view.hints.map(([key, what]) => ({
      text: key === "" ? what : `${key} ${what}`,
      paint: (text) =>
        key === "" ? style.dim(text) : `${style.bold(text.slice(0, key.length))}${style.dim(text.slice(key.length))}`
    })),
    columns
  )
  const blank = isRoomy ? [""] : []
  const bottom = footer === "" ? [] : [...blank, footer]
  // At least two lines of tasks matter more than the last lines of figures.
  const top = overview(view, canvas).slice(0, Math.max(2, rows - bottom.length - 2))
  const middle = rows - top.length - bottom.length
  return [...top, ...body(view, canvas, middle, isRoomy), ...bottom]
}

const body = (view: View, canvas: Canvas, rows: number, isRoomy: boolean): ReadonlyArray<string> => {
  const chrome = isRoomy ? 2 : 0
  // Held free even while nothing failed: the list of tasks must not shrink when something does.
  const reserved = isRoomy ? chrome + Math.max(1, Math.floor(rows / 5)) : Math.min(1, Math.max(0, rows - 3))
  const places = Math.max(0, Math.min(view.tasks.length, rows - chrome - reserved))
  const failed = Math.min(view.failures.length, rows - chrome - places - (isRoomy ? chrome : 0))
  const tasks = [...(isRoomy ? ["", taskHeader(view, canvas)] : []), ...taskLines(view, canvas, places)]
  const failures =
    failed <= 0
      ? []
      : [
          ...(isRoomy ? ["", canvas.style.dim("  last failures")] : []),
          ...failureLines(view, canvas, Math.min(failed, isRoomy ? reserved - chrome : reserved))
        ]
  const lines = [...tasks, ...failures]
  if (view.help === undefined) return lines
  const help = [...(isRoomy ? [""] : []), ...helpLines(view.help, canvas)].slice(0, rows)
  return [...help, ...Array<string>(Math.max(0, lines.length - help.length)).fill("")]
}

const gap = "  "
const ageCells = 6
const doingCells = 12

/** What the columns before the text take; both lists have the same ones. */
interface Columns {
  readonly id: number
  readonly attempt: number
  /** What is left for the text of a running task. */
  readonly text: number
}

const columnsOf = (view: View, { columns, isNarrow }: Canvas): Columns => {
  const id = isNarrow ? 0 : Math.min(Math.max(view.idWidth, 4), columns < 120 ? 16 : 32)
  const attempt = isNarrow ? 0 : Math.max(3, tries(9, view).length)
  const before = (id === 0 ? 0 : id + attempt + 2 * gap.length) + ageCells + doingCells + 3 * gap.length
  return { id, attempt, text: columns - before }
}

const tries = (attempt: number, { maxAttempts }: View): string =>
  maxAttempts === undefined || maxAttempts === Infinity ? String(attempt) : `${attempt}/${maxAttempts}`

/** The columns that both lists begin with. */
const head = (
  row: { readonly id: string; readonly attempt: number; readonly ageMillis: number },
  view: View,
  { attempt, id }: Columns
): string => {
  const age = pad(clock(row.ageMillis), ageCells, "right")
  if (id === 0) return age
  return [pad(fit(firstLine(row.id), id), id), pad(tries(row.attempt, view), attempt, "right"), age].join(gap)
}

/** The names of the columns of running tasks. */
const taskHeader = (view: View, canvas: Canvas): string => {
  const { attempt, id } = columnsOf(view, canvas)
  const names = [pad("age", ageCells, "right"), pad("doing", doingCells), "task"]
  if (id > 0) names.unshift(pad("id", id), pad("try", attempt, "right"))
  return canvas.style.dim(gap + names.join(gap))
}

/** As many lines as there are places, or as there is room for. */
const taskLines = (view: View, canvas: Canvas, rows: number): ReadonlyArray<string> => {
  const { columns, style } = canvas
  const shape = columnsOf(view, canvas)
  const isCut = view.tasks.length > rows
  const places = view.tasks.slice(0, isCut ? rows - 1 : rows)
  const lines: ReadonlyArray<string> = places.map((row) => (row === undefined ? "" : taskLine(row, view, shape, style)))
  const hidden = isCut ? Math.max(0, view.running - places.filter((row) => row !== undefined).length) : 0
  if (view.message !== undefined && places.every((row) => row === undefined)) {
    return [gap + style.dim(fit(view.message, columns - gap.length)), ...lines.slice(1)]
  }
  return isCut ? [...lines, hidden === 0 ? "" : style.dim(`${gap}and ${hidden} more`)] : lines
}

const paints: Readonly<Record<TaskRow["doing"], (style: Style) => Paint>> = {
  executing: () => unpainted,
  verifying: ({ cyan }) => cyan,
  waiting: ({ yellow }) => yellow,
  paced: ({ yellow }) => yellow
}

const taskLine = (row: TaskRow, view: View, shape: Columns, style: Style): string => {
  const paint = paints[row.doing](style)
  const doing = row.doing === "waiting" ? `retry ${clock(row.waitMillis)}` : row.doing
  const text = fit(firstLine(row.text), shape.text)
  return `${gap}${style.dim(head(row, view, shape))}${gap}${paint(pad(fit(doing, doingCells), doingCells))}${gap}${text}`.trimEnd()
}

/** The attempts that failed last. */
const failureLines = (view: View, canvas: Canvas, rows: number): ReadonlyArray<string> => {
  const shape = columnsOf(view, canvas)
  return view.failures.slice(0, rows).map((row) => failureLine(row, view, shape, canvas.style))
}

const failureLine = (row: FailureRow, view: View, shape: Columns, style: Style): string => {
  const mark = row.isFinal ? style.red("✗") : style.yellow("↻")
  const room = doingCells + gap.length + shape.text
  return `${mark} ${style.dim(head(row, view, shape))}${gap}${fit(firstLine(row.feedback), room)}`.trimEnd()
}

/** What keys and commands do, one a line. */
const helpLines = (hints: ReadonlyArray<Hint>, { columns, style }: Canvas): ReadonlyArray<string> => {
  const width = Math.max(...hints.map(([key]) => key.length))
  return hints.map(([key, what]) => `${gap}${style.bold(pad(key, width))}${gap}${fit(what, columns - width - 4)}`)
}
