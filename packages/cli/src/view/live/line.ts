/**
 * Lines made of parts that are painted after they were cut.
 *
 * @since 0.1.0
 */
import type { Paint } from "../style.ts"
import { displayWidth, fit } from "../width.ts"

/**
 * A piece of text and how it looks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Part {
  readonly text: string
  readonly paint: Paint
}

/**
 * Text as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unpainted: Paint = (text) => text

/**
 * As many of the parts as fit next to each other, from the first on. The first is cut if it has to be.
 *
 * @category converting
 * @since 0.1.0
 */
export const line = (parts: ReadonlyArray<Part>, columns: number, gap = "   "): string => {
  let room = columns
  const shown: Array<string> = []
  for (const { paint, text } of parts) {
    const width = displayWidth(text) + (shown.length === 0 ? 0 : gap.length)
    if (width > room && shown.length > 0) break
    shown.push(paint(fit(text, room)))
    room -= width
  }
  return shown.join(gap)
}
