/** Token buckets per model, filled continuously: the limits that the server enforces and states in its headers. */
export interface Limits {
  readonly requestsPerMinute?: number | undefined
  readonly inputTokensPerMinute?: number | undefined
  readonly outputTokensPerMinute?: number | undefined
}

interface Bucket {
  readonly limit: number
  left: number
  at: number
}

type Kind = "requests" | "input-tokens" | "output-tokens"

export class RateLimits {
  readonly #limits: Limits
  readonly #buckets = new Map<string, Record<Kind, Bucket>>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  #of(model: string): Record<Kind, Bucket> {
    let buckets = this.#buckets.get(model)
    if (buckets === undefined) {
      const bucket = (limit = 10_000_000): Bucket => ({ limit, left: limit, at: performance.now() })
      buckets = {
        requests: bucket(this.#limits.requestsPerMinute),
        "input-tokens": bucket(this.#limits.inputTokensPerMinute),
        "output-tokens": bucket(this.#limits.outputTokensPerMinute)
      }
      this.#buckets.set(model, buckets)
    }
    const now = performance.now()
    for (const bucket of Object.values(buckets)) {
      bucket.left = Math.min(bucket.limit, bucket.left + ((now - bucket.at) / 60_000) * bucket.limit)
      bucket.at = now
    }
    return buckets
  }

  /** Takes a request's share; the seconds after which to come back when there is not enough. */
  take(model: string, inputTokens: number): number | undefined {
    const buckets = this.#of(model)
    const wait = (bucket: Bucket, amount: number) =>
      bucket.left >= Math.min(amount, bucket.limit)
        ? 0
        : ((Math.min(amount, bucket.limit) - bucket.left) / bucket.limit) * 60
    const seconds = Math.max(
      wait(buckets.requests, 1),
      wait(buckets["input-tokens"], inputTokens),
      wait(buckets["output-tokens"], 1)
    )
    if (seconds > 0) return Math.ceil(seconds)
    buckets.requests.left -= 1
    buckets["input-tokens"].left -= inputTokens
    return undefined
  }

  answered(model: string, outputTokens: number) {
    this.#of(model)["output-tokens"].left -= outputTokens
  }

  headers(model: string): Record<string, string> {
    const headers: Record<string, string> = { "anthropic-organization-id": "00000000-0000-4000-8000-000000000000" }
    const buckets = this.#of(model)
    const add = (kind: string, { left, limit }: Bucket) => {
      const reset = Date.now() + ((limit - left) / limit) * 60_000
      headers[`anthropic-ratelimit-${kind}-limit`] = String(limit)
      headers[`anthropic-ratelimit-${kind}-remaining`] = String(Math.max(0, Math.floor(left)))
      headers[`anthropic-ratelimit-${kind}-reset`] = new Date(reset).toISOString().replace(/\.\d+Z$/, "Z")
    }
    add("requests", buckets.requests)
    add("input-tokens", buckets["input-tokens"])
    add("output-tokens", buckets["output-tokens"])
    add("tokens", {
      limit: buckets["input-tokens"].limit + buckets["output-tokens"].limit,
      left: buckets["input-tokens"].left + buckets["output-tokens"].left,
      at: 0
    })
    return headers
  }
}
