/**
 * The live view as lines for a terminal of some size. It never has more lines than there are rows, nor wider ones.
 *
 * What comes and goes keeps its place: tasks stay in their line, and figures have room to grow, so that the eye can rest.
 *
 * @since 0.1.0
 */
import type { Style } from "../style.ts"
import * as lists from "./lists.ts"
import { line } from "./line.ts"
import { type Canvas, overview } from "./overview.ts"
import type { View } from "./View.ts"

/**
 * How large a terminal is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** Below this, one line has to do. */
const smallest: Size = { columns: 30, rows: 8 }

/**
 * Whether there is room for the view at all.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasRoom = ({ columns, rows }: Size): boolean => columns >= smallest.columns && rows >= smallest.rows

/** With fewer rows than this, nothing is left empty to look good. */
const roomy = 14

/**
 * The lines.
 *
 * @category converting
 * @since 0.1.0
 */
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
  const tasks = [...(isRoomy ? ["", lists.header(view, canvas)] : []), ...lists.running(view, canvas, places)]
  const failures =
    failed <= 0
      ? []
      : [
          ...(isRoomy ? ["", canvas.style.dim("  last failures")] : []),
          ...lists.failures(view, canvas, Math.min(failed, isRoomy ? reserved - chrome : reserved))
        ]
  const lines = [...tasks, ...failures]
  if (view.help === undefined) return lines
  const help = [...(isRoomy ? [""] : []), ...lists.help(view.help, canvas)].slice(0, rows)
  return [...help, ...Array<string>(Math.max(0, lines.length - help.length)).fill("")]
}
