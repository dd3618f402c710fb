/**
 * Makes text from tasks, models and programs safe for a terminal: the text cannot move the cursor, change colours or the
 * title, hide other text or reverse the reading order. Machine formats (JSON, JSON lines, CSV) contain the text unchanged.
 */

import * as FailureCause from "@baton/core/FailureCause"
import * as Brand from "effect/Brand"

/**
 * Text that cannot control a terminal. What prints messages accepts only this type, so that text from sources, models and
 * programs cannot be printed without passing through this module.
 */
export type SafeText = string & Brand.Brand<"SafeText">

const made = Brand.nominal<SafeText>()

/**
 * Complete terminal sequences: OSC, DCS and similar ones up to their terminator, CSI up to its final byte, and two-byte
 * sequences. Each alternative consumes the text it scans, so matching takes linear time.
 */
// eslint-disable-next-line no-control-regex
const sequences = /[\x1B][\]PX^_][^\x07\x1B\x9C]*(?:\x07|\x1B\\|\x9C)|(?:\x1B\[|\x9B)[0-?]*[ -/]*[@-~]|\x1B[ -/]+[0-~]/g

/** Other control characters except line feed and tab, and characters that change the reading order. */
// eslint-disable-next-line no-control-regex
const controls = /[\x00-\x08\x0B-\x1F\x7F-\x9F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g

const picture = (character: string): string => {
  const code = character.charCodeAt(0)
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  if (code === 0x7f) return "␡"
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`
}

/** Removes terminal sequences and makes other control characters visible. Line breaks and tabs are kept. */
export const safeText = (text: string): SafeText =>
  // Each sequence contains a control character. Most texts have none, and some have many megabytes.
  text.search(controls) === -1
    ? made(text)
    : made(text.replaceAll("\r\n", "\n").replace(sequences, "").replace(controls, picture))

/** A message with values from anywhere: ``safe`${task.id} was not changed.` ``. */
export const safe = (parts: TemplateStringsArray, ...values: ReadonlyArray<string | number>): SafeText =>
  safeText(String.raw({ raw: parts }, ...values))

/** Longer than any terminal is wide, so that very long lines need little work. */
const maxLength = 4096

/** The first nonblank line. Ends with `…` if more text follows. */
export const firstLine = (text: string): SafeText => {
  const start = text.trimStart()
  const end = start.indexOf("\n")
  const line = (end === -1 ? start : start.slice(0, end)).trimEnd()
  const more = end !== -1 && start.slice(end).trim() !== ""
  const cut = line.length > maxLength ? line.slice(0, maxLength) : line
  const visible = safeText(cut).replaceAll("\t", " ").trim()
  return made(more || cut.length < line.length ? `${visible}…` : visible)
}

/** The last nonblank line of the output of a running program. A carriage return begins a line again, as in a progress bar. */
export const lastLine = (output: string): SafeText =>
  output
    .split(/[\r\n]+/)
    .map(firstLine)
    .findLast((line) => line !== "") ?? made("")

/** The reason for a failure in one line: the first line of the feedback, or the error of a stack trace. */
export const reasonLine = (feedback: string): SafeText => {
  const first = firstLine(feedback)
  const line = firstLine(FailureCause.line(feedback))
  return first.startsWith(line) ? first : line
}

/** Escapes a line for Markdown, so that it cannot become markup, also in a cell of a table. */
export const markdownText = (line: string): string =>
  line.replace(/[\\`*_{}[\]<>|#~&]/g, (character) => `\\${character}`)
