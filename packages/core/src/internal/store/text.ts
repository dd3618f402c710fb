/**
 * Databases differ in what text they hold: PostgreSQL has no U+0000, and nothing that is UTF-8 has half of a surrogate
 * pair. Each of them becomes U+0001 and its four hexadecimal digits, and so does U+0001 itself. What a database joins
 * together from such texts can still be decoded.
 */
const mark = "\u0001"

const digits = 4

/** Different strings stay different. */
export const encode = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") && !text.includes(mark)
    ? text
    : text.replace(unsupported, (character) => mark + character.charCodeAt(0).toString(16).padStart(digits, "0"))

/** With the flag `u`, a surrogate is only matched outside of a pair. */
const unsupported = new RegExp(`[\0${mark}\\p{Surrogate}]`, "gu")

export const decode = (text: string): string => {
  if (!text.includes(mark)) return text
  const [plain = "", ...marked] = text.split(mark)
  const decoded = marked.map(
    (part) => String.fromCharCode(Number.parseInt(part.slice(0, digits), 16)) + part.slice(digits)
  )
  return plain + decoded.join("")
}
