import type { Script } from "./Answer.ts"

/** How often requests go wrong; rates from 0 to 1, which add up to 1 at most. */
export interface Chaos {
  readonly rateLimited?: number
  readonly failing?: number
  readonly dropped?: number
  readonly latencyMillis?: number
  /** The same seed, the same sequence. */
  readonly seed?: number
}

/** mulberry32: small, and the same everywhere. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** A script in which some requests fail, and all others are answered by `script`, or by the server itself. */
export const chaos = (options: Chaos, script: Script = () => undefined): Script => {
  const next = random(options.seed ?? 1)
  return async (request, n) => {
    let at = next()
    const isIn = (rate = 0) => {
      at -= rate
      return at < 0
    }
    const isLimited = isIn(options.rateLimited)
    const isFailing = !isLimited && isIn(options.failing)
    const isDropped = !isLimited && !isFailing && isIn(options.dropped)
    if (options.latencyMillis !== undefined && options.latencyMillis > 0) {
      await new Promise((resolve) => setTimeout(resolve, options.latencyMillis))
    }
    if (isLimited) return { _tag: "Error", status: 429, headers: { "retry-after-ms": "50", "retry-after": "0" } }
    if (isFailing) return { _tag: "Error", status: 500 }
    if (isDropped) return { _tag: "Drop", after: n % 2 === 0 ? "text" : "nothing", text: "half an ans" }
    return script(request, n)
  }
}
