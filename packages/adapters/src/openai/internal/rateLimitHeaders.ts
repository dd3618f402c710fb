import * as DateTime from "effect/DateTime"
import type { Headers } from "../../internal/chat/Client.ts"

/**
 * The headers of an OpenAI-compatible server under the names and in the form that the pace reads: the times of its resets
 * are durations such as `6m0s`. `tokens` counts input and output together.
 */
export const toPaceHeaders = (headers: Headers, nowMillis: number): Headers => ({
  get: (name) => {
    const [, resource, kind] = /^anthropic-ratelimit-(requests|tokens)-(limit|remaining|reset)$/.exec(name) ?? []
    if (resource === undefined || kind === undefined) return name.startsWith("anthropic-") ? null : headers.get(name)
    const value = headers.get(`x-ratelimit-${kind}-${resource}`)
    return kind === "reset" ? timeOf(value, nowMillis) : value
  }
})

const unitMillis: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The time after a duration such as `1h2m3.5s`; a number without a unit is in seconds. Null for anything else. */
const timeOf = (text: string | null, nowMillis: number): string | null => {
  if (text === null) return null
  const compact = /^\d+(?:\.\d+)?$/.test(text.trim()) ? `${text.trim()}s` : text.trim()
  if (!/^(?:\d{1,9}(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(compact)) return null
  let millis = 0
  for (const [, amount, unit = "s"] of compact.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    millis += Number(amount) * (unitMillis[unit] ?? 0)
  }
  const time = DateTime.make(nowMillis + Math.ceil(millis))
  return time._tag === "Some" ? DateTime.formatIso(time.value) : null
}
