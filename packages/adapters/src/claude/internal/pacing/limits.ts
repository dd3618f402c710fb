import * as Option from "effect/Option"
import * as DateTime from "effect/DateTime"
import type { Stated } from "./bucket.ts"

/**
 * What the API limits for each model. `tokens` is input and output together: the API states it where a workspace has
 * such a limit.
 */
export const tokenResources = ["input-tokens", "output-tokens", "tokens"] as const

export const resources = ["requests", ...tokenResources] as const

export type Resource = (typeof resources)[number]

/** The headers of an answer; `Headers` of the web and its like. */
export interface Headers {
  readonly get: (name: string) => string | null
}

const count = (headers: Headers, name: string): number | undefined => {
  const text = headers.get(name)
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** What the headers state of a limit. A limit of nothing is none that anybody could wait for. */
export const stated = (headers: Headers, resource: Resource): Stated | undefined => {
  const limit = count(headers, `anthropic-ratelimit-${resource}-limit`)
  const remaining = count(headers, `anthropic-ratelimit-${resource}-remaining`)
  return limit === undefined || limit === 0 || remaining === undefined ? undefined : { limit, remaining }
}

/** When the limits that are used up will be whole again, in epoch milliseconds; undefined when none is. */
export const reset = (headers: Headers): number | undefined => {
  const times = resources.flatMap((resource) => {
    if (stated(headers, resource)?.remaining !== 0) return []
    const text = headers.get(`anthropic-ratelimit-${resource}-reset`)
    const time = text === null ? Option.none() : DateTime.make(text)
    return Option.isSome(time) ? [time.value.epochMilliseconds] : []
  })
  return times.length === 0 ? undefined : Math.max(...times)
}
