import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** The headers of an answer; `Headers` of the web and its like. */
export interface Headers {
  readonly get: (name: string) => string | null
}

/**
 * How long the server asks to wait: milliseconds in a header of its own, else seconds or an HTTP date. Undefined when it
 * does not say, or says something that is no time.
 */
export const retryAfter = (headers: Headers, nowMillis: number): Duration.Duration | undefined => {
  const millis = number(headers.get("retry-after-ms"))
  if (millis !== undefined) return Duration.millis(millis)
  const text = headers.get("retry-after")
  const seconds = number(text)
  if (seconds !== undefined) return Duration.seconds(seconds)
  const date = text === null || !/[a-z]/i.test(text) ? Option.none() : DateTime.make(text)
  return Option.isSome(date) ? Duration.millis(Math.max(0, date.value.epochMilliseconds - nowMillis)) : undefined
}

const number = (text: string | null): number | undefined =>
  text !== null && /^\d{1,15}(?:\.\d{1,9})?$/.test(text.trim()) ? Number(text) : undefined
