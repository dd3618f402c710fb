/**
 * Text of several lines inside a report.
 *
 * @since 0.1.0
 */
import { count } from "./quantity.ts"
import { safeText } from "./safeText.ts"
import { displayWidth, fit, pad } from "./width.ts"
import type { Style } from "./style.ts"

/**
 * Someone's text as lines, each behind `margin`, without the blank lines around it. With `most`, what goes beyond that many
 * lines is counted and not shown.
 *
 * @category converting
 * @since 0.1.0
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

/**
 * Labels in a column of their own, and what they stand for.
 *
 * @category converting
 * @since 0.1.0
 */
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
