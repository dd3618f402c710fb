/** What the APIs' responses and failed connections have in common. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Headers } from "./Client.ts"

/** The system's error code, which `fetch` puts into causes of causes. */
export const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (Predicate.hasProperty(error, "code") && Predicate.isString(error.code)) return error.code
  return depth < 5 && Predicate.hasProperty(error, "cause") ? codeOf(error.cause, depth + 1) : undefined
}

/** Whether a connection with this error code was never established, so that nothing was sent and nothing is billed. */
export const neverEstablished = (code: string | undefined): boolean =>
  code !== undefined && refusedBeforeSending.has(code)

const refusedBeforeSending = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID"
])

/**
 * How long the server asks to wait: milliseconds in their own header, else seconds or an HTTP date. Undefined when there is
 * no such header, or its value is not a time.
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
