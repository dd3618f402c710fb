import type { MessageRequest } from "../../MessageRequest.ts"
import type { Demand } from "./pool.ts"

/**
 * Bytes for a token, on the low side: about four in English, three in most other scripts, where a token is often a
 * letter. An answer tells how many it really were.
 */
const bytesPerToken = 3

/** What a request may use. */
export const of = ({ max_tokens, messages, output_config, system }: MessageRequest): Demand => {
  const input = Math.ceil(Buffer.byteLength(JSON.stringify([system, messages, output_config])) / bytesPerToken)
  return { requests: 1, "input-tokens": input, "output-tokens": max_tokens, tokens: input + max_tokens }
}
