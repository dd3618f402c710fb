/**
 * Cuts what a program prints into lines, without their line breaks, and hands each on as text. Holds one line at most,
 * and of one that is longer than `limit` bytes nothing: `onLine` gets null for it.
 */
export const splitLines = (limit: number, onLine: (line: string | null) => void) => {
  let parts: Array<Uint8Array> = []
  let length = 0
  let tooLong = false

  const take = (bytes: Uint8Array) => {
    if (bytes.length === 0 || tooLong) return
    if (length + bytes.length > limit) {
      tooLong = true
      parts = []
      return
    }
    parts.push(bytes)
    length += bytes.length
  }

  const end = () => {
    if (tooLong) onLine(null)
    else if (length > 0) onLine(decoder.decode(parts.length === 1 ? parts[0] : concat(parts, length)))
    parts = []
    length = 0
    tooLong = false
  }

  return {
    push: (chunk: Uint8Array) => {
      let start = 0
      for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, start)) {
        take(chunk.subarray(start, at))
        end()
        start = at + 1
      }
      // A copy: what is left of a chunk must not keep all of it in memory.
      take(chunk.slice(start))
    },
    /** Hands on what follows the last line break. */
    end
  }
}

const lineFeed = 0x0a

const decoder = new TextDecoder()

const concat = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const all = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}
