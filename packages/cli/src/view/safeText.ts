/**
 * Makes text that others wrote (a description, what a model answered, what a program printed) harmless on a terminal.
 * Nothing in a task can move the cursor, recolour or retitle the terminal, hide text or reverse its reading order.
 * Machine formats (JSON, JSON lines, CSV) carry the text unchanged and do not come through here.
 */

/**
 * Whole terminal sequences: OSC, DCS and their kin up to their end, CSI up to its final byte, and the two-byte ones. Each
 * alternative consumes what it scans, so hostile text costs no more than its length.
 */
// eslint-disable-next-line no-control-regex
const sequences = /[\x1B][\]PX^_][^\x07\x1B\x9C]*(?:\x07|\x1B\\|\x9C)|(?:\x1B\[|\x9B)[0-?]*[ -/]*[@-~]|\x1B[ -/]+[0-~]/g

/** The other control characters, and the marks that change the reading order of what follows. Line feed and tab stay. */
// eslint-disable-next-line no-control-regex
const controls = /[\x00-\x08\x0B-\x1F\x7F-\x9F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g

const picture = (character: string): string => {
  const code = character.charCodeAt(0)
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  if (code === 0x7f) return "␡"
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`
}

/** The text with its line breaks and tabs: terminal sequences are left out, other control characters become visible. */
export const safeText = (text: string): string =>
  text.replaceAll("\r\n", "\n").replace(sequences, "").replace(controls, picture)

/** More of one line than any terminal is wide, so that a description of megabytes costs nothing in a table. */
const longest = 4096

/** The first line that says something, for a place that has room for one line. Ends with `…` when the text goes on. */
export const firstLine = (text: string): string => {
  const start = text.trimStart()
  const end = start.indexOf("\n")
  const line = (end === -1 ? start : start.slice(0, end)).trimEnd()
  const more = end !== -1 && start.slice(end).trim() !== ""
  const cut = line.length > longest ? line.slice(0, longest) : line
  const safe = safeText(cut).replaceAll("\t", " ").trim()
  return more || cut.length < line.length ? `${safe}…` : safe
}
