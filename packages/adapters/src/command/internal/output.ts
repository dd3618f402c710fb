/** Collects the output of a program, chunk by chunk. */
export interface Collector {
  /** Returns false when it is full and has refused bytes. */
  readonly push: (chunk: Uint8Array) => boolean
  /** The collected output as UTF-8; invalid bytes become U+FFFD. */
  readonly text: () => string
}

/**
 * Keeps the first `head` and the last `tail` bytes, and never refuses any. It holds at most `head + 2 * tail` bytes, whatever
 * the number and the size of the chunks.
 */
export const excerpt = (head: number, tail: number): Collector => {
  const first: Array<Uint8Array> = []
  let room = head
  let last: Uint8Array | undefined
  let length = 0
  let total = 0

  const pushTail = (chunk: Uint8Array) => {
    last ??= new Uint8Array(2 * tail)
    if (chunk.length >= tail) {
      last.set(chunk.subarray(chunk.length - tail))
      length = tail
      return
    }
    if (length + chunk.length > last.length) {
      const kept = tail - chunk.length
      last.copyWithin(0, length - kept, length)
      length = kept
    }
    last.set(chunk, length)
    length += chunk.length
  }

  return {
    push: (chunk) => {
      total += chunk.length
      if (room > 0) {
        const taken = chunk.slice(0, room)
        first.push(taken)
        room -= taken.length
        if (chunk.length > taken.length) pushTail(chunk.subarray(taken.length))
      } else if (chunk.length > 0) pushTail(chunk)
      return true
    },
    text: () => {
      const kept = last === undefined ? new Uint8Array() : last.subarray(Math.max(0, length - tail), length)
      const omitted = total - (head - room) - kept.length
      if (omitted === 0) return decode([...first, kept])
      const mark = `[... ${formatBytes(omitted)} left out ...]\n`
      const beginning = decodeBeginning(first)
      return `${beginning === "" ? "" : `${beginning}\n`}${mark}${decode([kept.subarray(leadingContinuation(kept))])}`
    }
  }
}

/** Removes the rest of the word that an excerpt was cut in: half a secret is not recognised, and would be kept. */
export const wholeWords = (excerpted: string): string =>
  excerpted.replace(/(\[\.\.\. [\d.]+ \w+ left out \.\.\.\]\n)[\w.~+/=-]{1,2048}/, "$1")

/** Keeps up to `limit` bytes and refuses the rest. */
export const whole = (limit: number): Collector => {
  // One growing buffer, because a program that prints byte by byte must not cost an object per byte.
  let buffer: Uint8Array = new Uint8Array()
  let length = 0
  return {
    push: (chunk) => {
      const taken = chunk.length <= limit - length ? chunk : chunk.subarray(0, limit - length)
      if (length === 0) buffer = taken
      else {
        if (length + taken.length > buffer.length) {
          const grown = new Uint8Array(Math.min(limit, Math.max(2 * buffer.length, length + taken.length)))
          grown.set(buffer.subarray(0, length))
          buffer = grown
        }
        buffer.set(taken, length)
      }
      length += taken.length
      return taken.length === chunk.length
    },
    text: () => decode([buffer.subarray(0, length)])
  }
}

/** The beginning and the end of a text that is longer than `limit` bytes; about `limit` bytes in total. */
export const shorten = (text: string, limit: number): string => {
  // A UTF-16 unit takes at most three bytes in UTF-8, so most texts need not be encoded to be measured.
  if (text.length * 3 <= limit) return text
  const half = Math.floor(limit / 2)
  const collector = excerpt(half, half)
  collector.push(new TextEncoder().encode(text))
  return collector.text()
}

// `ignoreBOM` keeps a byte order mark, so that an output is passed on unchanged.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0]
  const all = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.length
  }
  return all
}

const decode = (chunks: ReadonlyArray<Uint8Array>): string => decoder.decode(concat(chunks))

// A decoder in streaming mode drops the incomplete character at the end.
const decodeBeginning = (chunks: ReadonlyArray<Uint8Array>): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(concat(chunks), { stream: true })

const leadingContinuation = (bytes: Uint8Array): number => {
  let count = 0
  while (count < 3 && ((bytes[count] ?? 0) & 0xc0) === 0x80) count++
  return count
}

/** The last lines of an output, as the end of a sentence. */
export const lastLines = (printed: string): string => {
  const text = printed.trim()
  return text === "" ? "" : `: ${end(text.split("\n").slice(-10).join("\n"))}`
}

// A word that is cut in two is removed, because half a secret is not recognised as one.
const end = (text: string): string =>
  text.length <= 2048
    ? text
    : text
        .slice(-2048)
        .replace(/^[\w.~+/=-]+/, "")
        .toWellFormed()

const units = ["KiB", "MiB", "GiB"]

/** A size for a person: `512 bytes`, `10 MiB`, `1.5 GiB`. */
export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} bytes`
  const exponent = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${Math.round((bytes / 1024 ** exponent) * 10) / 10} ${units[exponent - 1]}`
}
