/** Measures and fits text on a terminal. */

// eslint-disable-next-line no-control-regex
const ascii = /^[\x20-\x7E]*$/
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** East Asian wide and full-width characters, and emoji that terminals draw two cells wide. */
const wide =
  /^(?:[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6]|[\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F)/u
const invisible = /^[\p{Mn}\p{Me}\p{Cf}]+$/u

const graphemeWidth = (grapheme: string): number => {
  if (wide.test(grapheme)) return 2
  return invisible.test(grapheme) ? 0 : 1
}

/** The width of a line without control characters, in terminal cells. */
export const displayWidth = (text: string): number => {
  if (ascii.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment)
  return width
}

/** Cuts a line to at most `cells`; a cut line ends with `…`. Characters are never split. */
export const fit = (text: string, cells: number): string => {
  if (text.length <= cells && ascii.test(text)) return text
  if (cells <= 0) return ""
  let width = 0
  let kept = 0
  for (const { index, segment } of graphemes.segment(text)) {
    const next = width + graphemeWidth(segment)
    if (next > cells) return `${text.slice(0, kept)}…`
    width = next
    // One cell is reserved for the `…`, in case the text does not fit.
    if (width < cells) kept = index + segment.length
  }
  return text
}

/** Pads a line with spaces to `cells`; a longer line is returned unchanged. */
export const pad = (text: string, cells: number, align: "left" | "right" = "left"): string => {
  const spaces = " ".repeat(Math.max(0, cells - displayWidth(text)))
  return align === "left" ? text + spaces : spaces + text
}

/** Wraps text into lines of whole words; empty text is one empty line. */
export const wrap = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && displayWidth(line) + 1 + displayWidth(word) > columns) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
