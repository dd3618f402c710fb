import { Buffer } from "node:buffer"

/** The longest name that PostgreSQL does not cut, in bytes of UTF-8. */
const longestName = 63

export const isName = (name: string): boolean =>
  name !== "" && name.isWellFormed() && !name.includes("\0") && Buffer.byteLength(name) <= longestName

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Where stores of this schema tell one another of changes; a database has one name space for it. */
export const channel = (schema: string): string => {
  const name = `baton:${schema}`
  return isName(name) ? name : schema
}
