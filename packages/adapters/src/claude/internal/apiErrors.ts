import type * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Headers } from "../../internal/chat/Client.ts"
import * as ConnectionErrors from "../../internal/chat/connectionErrors.ts"
import { retryAfter } from "../../internal/chat/transport.ts"
import { ClaudeError } from "../ClaudeError.ts"

// Errors of the connection and of the client

export const connection = ConnectionErrors.make({ api: "Claude's API", answer: "Claude's answer" })

export const {
  connectionFailed,
  connectionLost,
  malformed,
  misconfigured,
  noAnswerWithin,
  silentFor,
  tookLongerThan,
  truncated,
  webPage
} = connection

// Errors that the API reports

const Envelope = Schema.Struct({
  error: Schema.Struct({
    type: Schema.optionalKey(Schema.NullOr(Schema.String)),
    message: Schema.optionalKey(Schema.NullOr(Schema.String)),
    details: Schema.optionalKey(
      Schema.NullOr(Schema.Struct({ error_code: Schema.optionalKey(Schema.NullOr(Schema.String)) }))
    )
  }),
  request_id: Schema.optionalKey(Schema.NullOr(Schema.String))
})

const nothing: typeof Envelope.Type = { error: {} }

const decodeEnvelope = Schema.decodeUnknownOption(Envelope)

/** An error that the API reports, as the body of a response or as an event in a stream whose status is 200. */
export interface Reported {
  /** Undefined in a stream. */
  readonly status: number | undefined
  /** The error envelope, or whatever the server sent in its place. */
  readonly body: unknown
  readonly headers: Headers | undefined
  readonly nowMillis: number
  readonly usage?: Usage.Usage | undefined
  /** Removes the key from the server's text. */
  readonly hide?: ((text: string) => string) | undefined
}

/** The error for what the API reports. A stream has no status, so the error's type decides alone. */
export const fromApi = ({ body, headers, hide = identity, nowMillis, status, usage }: Reported): ClaudeError => {
  const envelope = decodeEnvelope(body)
  const { error, request_id } = Option.getOrElse(envelope, () => nothing)
  const code = error.details?.error_code ?? undefined
  const named = error.type ?? (status === undefined ? "api_error" : (typeOf[status] ?? `http_${status}`))
  const said = shorten(hide(error.message ?? ""))
  // The code is more precise than the type where a 429 is not about the rate.
  const type = code !== undefined && codes.has(code) ? code : named
  const reason = reasonOf(status, type, code, said)
  const requestId = headers?.get("request-id") ?? request_id ?? undefined
  const wait = headers === undefined ? undefined : (retryAfter(headers, nowMillis) ?? untilReset(headers, nowMillis))
  return new ClaudeError({
    reason: reason === "Transient" && headers?.get("x-should-retry") === "false" ? "Failed" : reason,
    type,
    message: sentence(status, type, said, requestId),
    ...(status === undefined ? undefined : { status }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...(wait === undefined ? undefined : { retryAfter: wait }),
    usage: Option.isNone(envelope) && status !== undefined && proxyTimeouts.has(status) ? undefined : usage
  })
}

/** The limits of a subscription end at a time in epoch seconds. */
const untilReset = (headers: Headers, nowMillis: number): Duration.Duration | undefined => {
  const reset = Number(headers.get("anthropic-ratelimit-unified-reset") ?? NaN)
  return headers.get("anthropic-ratelimit-unified-status") === "rejected" && Number.isFinite(reset)
    ? Duration.millis(Math.max(0, reset * 1000 - nowMillis))
    : undefined
}

// A proxy reports that the API took too long: the API may be processing the request, and bill it.
const proxyTimeouts = new Set([504, 524])

const typeOf: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  504: "timeout_error",
  529: "overloaded_error"
}

const statusOf = new Map(Object.entries(typeOf).map(([status, type]) => [type, Number(status)]))

const spendLimits = new Set(["contract_spend_limit_reached", "enforced_spend_limit_reached"])

const codes = new Set([...spendLimits, "ramp_limit_exceeded"])

// A spend limit that a customer has set, and used-up credit, are reported as a plain 400. Only the text tells them apart,
// and it may change; but taken for a bad request, they would send every task of the list to the dead-letter queue.
const noMoney = /\b(?:spend(?:ing)? limit|usage limits?|credit balance)\b/i

const reasonOf = (
  givenStatus: number | undefined,
  type: string,
  code: string | undefined,
  said: string
): ClaudeError["reason"] => {
  const status = givenStatus ?? statusOf.get(type) ?? 500
  if (spendLimits.has(type) || code?.endsWith("spend_limit_reached") === true) return "Fatal"
  switch (status) {
    case 400:
      return noMoney.test(said) ? "Fatal" : "Permanent"
    case 401:
    case 402:
    case 403:
      return "Fatal"
    case 408:
    case 409:
    case 429:
      return "Transient"
    default:
      return status >= 500 ? "Transient" : "Permanent"
  }
}

const sentence = (status: number | undefined, type: string, said: string, requestId: string | undefined): string => {
  const what = `${introduction(type)} (${status === undefined ? type : `${status} ${type}`})`
  const words = said === "" ? what : `${what}: ${said.replace(/\.$/, "")}`
  return requestId === undefined ? `${words}.` : `${words} [${requestId}].`
}

const introduction = (type: string): string => {
  switch (type) {
    case "authentication_error":
      return "Claude's API rejected the key; check it"
    case "permission_error":
      return "The key does not have this permission"
    case "billing_error":
      return "Claude's API reports a problem with billing"
    case "contract_spend_limit_reached":
    case "enforced_spend_limit_reached":
      return "The account's spend limit is reached; raise it, or wait for its next period"
    case "not_found_error":
      return "Claude's API does not know this"
    case "rate_limit_error":
    case "ramp_limit_exceeded":
      return "Claude's API limits the rate of requests"
    case "overloaded_error":
      return "Claude's API is overloaded"
    default:
      return "Claude's API answered with an error"
  }
}

const longestSaid = 500

const shorten = (text: string) => (text.length <= longestSaid ? text : `${text.slice(0, longestSaid)}…`)
