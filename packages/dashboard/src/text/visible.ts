/**
 * Makes every character of a text from a model or a program visible: terminal sequences, other control characters, and
 * characters that change the reading order are shown visibly and have no effect.
 */

export interface Segment {
  readonly text: string
  /** Whether the text stands for invisible characters. */
  readonly isControl: boolean
}

/** Complete terminal sequences, other control characters except line feed and tab, and marks of the reading order. */
const invisible =
  // eslint-disable-next-line no-control-regex
  /(?:\x1B\[|\x9B)[0-?]*[ -/]*[@-~]|\x1B[\]PX^_][^\x07\x1B\x9C\n]{0,200}(?:\x07|\x1B\\|\x9C)|[\x00-\x08\x0B-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g

// eslint-disable-next-line no-control-regex
const control = /[^\x20-\x7E\u00A0-\u200D\u2010-\u2027\u202F-\u2065\u206A-\uFEFE\uFF00-\uFFFF]/g

const picture = (character: string): string => {
  const code = character.charCodeAt(0)
  // The notation of terminals, `^[` for escape, is in every font.
  if (code < 0x20) return `^${String.fromCharCode(0x40 + code)}`
  return code === 0x7f ? "^?" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`
}

export const segments = (text: string): ReadonlyArray<Segment> => {
  const result: Array<Segment> = []
  const lines = text.replaceAll("\r\n", "\n")
  let from = 0
  for (const { 0: found, index } of lines.matchAll(invisible)) {
    if (index > from) result.push({ text: lines.slice(from, index), isControl: false })
    result.push({ text: found.replace(control, picture), isControl: true })
    from = index + found.length
  }
  if (from < lines.length) result.push({ text: lines.slice(from), isControl: false })
  return result
}

/** The same as plain text, for places that have no markup, such as the title of the window. */
export const plain = (text: string): string =>
  segments(text)
    .map((segment) => segment.text)
    .join("")
