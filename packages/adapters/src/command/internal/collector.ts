import { formatBytes } from "./formatBytes.ts"

/** Takes what a program prints, chunk by chunk. */
export interface Collector {
  /** False when it is full and has refused bytes. */
  readonly push: (chunk: Uint8Array) => boolean
  /** What was kept, as UTF-8; invalid bytes become U+FFFD. */
  readonly text: () => string
}

/**
 * Keeps the first `head` and the last `tail` bytes, and never refuses any. Holds `head + 2 * tail` bytes at most,
 * whatever the number and the size of the chunks.
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

/**
 * An excerpt without the rest of the word that its cut went through: half a secret no longer looks like one, and would be
 * kept where the whole is not.
 */
export const wholeWords = (excerpted: string): string =>
  excerpted.replace(/(\[\.\.\. [\d.]+ \w+ left out \.\.\.\]\n)[\w.~+/=-]{1,2048}/, "$1")

/** Keeps everything up to `limit` bytes and refuses what exceeds it. */
export const whole = (limit: number): Collector => {
  // One growing buffer: a program that prints byte by byte must not cost an object per byte.
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

/** A text of at most about `limit` bytes: the beginning and the end of one that is longer. */
export const shorten = (text: string, limit: number): string => {
  // No UTF-16 unit takes more than three bytes in UTF-8: most texts need not be encoded to be measured.
  if (text.length * 3 <= limit) return text
  const half = Math.floor(limit / 2)
  const collector = excerpt(half, half)
  collector.push(new TextEncoder().encode(text))
  return collector.text()
}

// `ignoreBOM` keeps a byte order mark: an output is passed on as it came.
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

// A decoder in streaming mode holds back the character that the cut went through.
const decodeBeginning = (chunks: ReadonlyArray<Uint8Array>): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(concat(chunks), { stream: true })

const leadingContinuation = (bytes: Uint8Array): number => {
  let count = 0
  while (count < 3 && ((bytes[count] ?? 0) & 0xc0) === 0x80) count++
  return count
}
