import type { BatchRequest } from "./batchApi.ts"

/**
 * The body of a request that creates a batch. It is encoded while it is sent, because it can have 256 MB: at any time, about
 * one part of it is in memory.
 */
export function* parts(requests: ReadonlyArray<BatchRequest>): Generator<Uint8Array<ArrayBuffer>, void> {
  let text = opening
  for (const [index, request] of requests.entries()) {
    text += index === 0 ? entryOf(request) : `,${entryOf(request)}`
    if (text.length < partLength) continue
    yield encoder.encode(text)
    text = ""
  }
  yield encoder.encode(text + closing)
}

/** The bytes that a request adds to the body, with the comma before the next one. */
export const bytesOf = (request: BatchRequest): number => Buffer.byteLength(entryOf(request)) + 1

/** The bytes of the whole body, from the sum of the bytes of its requests. */
export const lengthOf = (bytesOfRequests: number): number => opening.length + bytesOfRequests - 1 + closing.length

const opening = `{"requests":[`
const closing = "]}"

/** In characters. Many small writes cost more time than a few larger ones. */
const partLength = 64 * 1024

const encoder = new TextEncoder()

const entryOf = ({ custom_id, params }: BatchRequest): string => JSON.stringify({ custom_id, params })
