/** As many rows, and about as many characters of text, as one statement writes. */
const mostRows = 1_000
const mostText = 16 * 1024 * 1024

/** Cuts a list into parts that are small enough for one statement each. */
export const inParts = <A>(
  items: ReadonlyArray<A>,
  sizeOf: (item: A) => number,
  most = mostRows
): ReadonlyArray<ReadonlyArray<A>> => {
  const parts: Array<Array<A>> = []
  let part: Array<A> = []
  let text = 0
  for (const item of items) {
    const size = sizeOf(item)
    if (part.length === 0 || part.length === most || text + size > mostText) {
      part = []
      parts.push(part)
      text = 0
    }
    part.push(item)
    text += size
  }
  return parts
}
