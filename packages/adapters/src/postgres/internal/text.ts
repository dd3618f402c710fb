/**
 * PostgreSQL's text has no U+0000 and, being UTF-8, no half of a surrogate pair. Each of them is kept as U+0001 and its
 * four hexadecimal digits, and so is U+0001 itself; what PostgreSQL puts together of such texts can still be read.
 */
const mark = "\u0001"

const digits = 4

/** A string as the tables hold it. Different strings stay different. */
export const encode = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") && !text.includes(mark)
    ? text
    : Array.from(text, encodeCharacter).join("")

const encodeCharacter = (character: string): string =>
  character === "\0" || character === mark || !character.isWellFormed()
    ? mark + character.charCodeAt(0).toString(16).padStart(digits, "0")
    : character

export const encodeOrNull = (text: string | null): string | null => (text === null ? null : encode(text))

/** The string that the tables hold. */
export const decode = (text: string): string => {
  if (!text.includes(mark)) return text
  const [plain = "", ...marked] = text.split(mark)
  const decoded = marked.map(
    (part) => String.fromCharCode(Number.parseInt(part.slice(0, digits), 16)) + part.slice(digits)
  )
  return plain + decoded.join("")
}
