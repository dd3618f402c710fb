import type * as Usage from "@baton/core/Usage"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Headers } from "../../internal/chat/Client.ts"
import { ModelError } from "../../internal/chat/ModelError.ts"
import { retryAfter } from "../../internal/chat/transport.ts"

const Text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** OpenAI's envelope. Other servers have a number as the code, or a text in place of the object. */
const Envelope = Schema.Struct({
  error: Schema.Union([
    Schema.String,
    Schema.Struct({
      message: Text,
      type: Text,
      code: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.String, Schema.Number])))
    })
  ])
})

const decodeEnvelope = Schema.decodeUnknownOption(Envelope)

/** An error that the server reports, as the body of a response or as a chunk of a stream whose status is 200. */
export interface Reported {
  /** Undefined in a stream. */
  readonly status: number | undefined
  /** The error envelope, or whatever the server sent in its place. */
  readonly body: unknown
  readonly headers: Headers | undefined
  readonly nowMillis: number
  readonly usage?: Usage.Usage | undefined
  readonly model: string
  /** Where requests are sent, for a sentence. */
  readonly url: string
  /** Removes the key from the server's text. */
  readonly hide?: ((text: string) => string) | undefined
}

/** The error for what the server reports. In a stream, a number as the error's code takes the place of the status. */
export const fromApi = (reported: Reported): ModelError => {
  const { headers, hide = identity, nowMillis, usage } = reported
  const envelope = Option.map(decodeEnvelope(reported.body), ({ error }) =>
    typeof error === "string" ? { message: error } : error
  )
  const { code, message, type } = Option.getOrElse(envelope, (): ErrorBody => ({}))
  const status = reported.status ?? (typeof code === "number" && code >= 400 && code < 600 ? code : undefined)
  const said = shorten(hide(message ?? ""))
  const kind = kindOf(status, typeof code === "string" ? code : undefined, type ?? undefined, said)
  const requestId = headers?.get("x-request-id") ?? undefined
  const wait = headers === undefined ? undefined : retryAfter(headers, nowMillis)
  const reason = reasonOf(kind, status)
  return new ModelError({
    reason: reason === "Transient" && headers?.get("x-should-retry") === "false" ? "Failed" : reason,
    type: kind,
    message: sentence(kind, status, said, requestId, reported),
    ...(status === undefined ? undefined : { status }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...(wait === undefined ? undefined : { retryAfter: wait }),
    // A proxy reports that the server took too long: the server may be processing the request, and bill it.
    usage: Option.isNone(envelope) && (status === 504 || status === 524) ? undefined : usage
  })
}

type ErrorBody = {
  readonly message?: string | null
  readonly type?: string | null
  readonly code?: string | number | null
}

/** The kinds of errors, with Claude's names for the ones that both APIs have. */
const kindOf = (
  status: number | undefined,
  code: string | undefined,
  type: string | undefined,
  said: string
): string => {
  if (isOutOfMoney(code, type) || status === 402) return "insufficient_quota"
  if (code === "context_length_exceeded" || /maximum context length|context (?:window|length)/i.test(said)) {
    return "context_length_exceeded"
  }
  if (code === "content_filter" || code === "content_policy_violation") return "content_filter"
  switch (status) {
    case 401:
      return "authentication_error"
    case 403:
      return "permission_error"
    case 404:
      return code === "model_not_found" || /\bmodel\b/i.test(said) ? "not_found_error" : "no_endpoint"
    case 429:
      return "rate_limit_error"
    default:
      return code ?? type ?? (status === undefined ? "server_error" : `http_${status}`)
  }
}

const isOutOfMoney = (code: string | undefined, type: string | undefined): boolean =>
  [code, type].some(
    (name) => name === "insufficient_quota" || name === "billing_hard_limit_reached" || name === "billing_not_active"
  )

const reasonOf = (kind: string, status: number | undefined): ModelError["reason"] => {
  switch (kind) {
    case "insufficient_quota":
    case "authentication_error":
    case "permission_error":
    case "no_endpoint":
      return "Fatal"
    case "context_length_exceeded":
    case "content_filter":
    case "not_found_error":
      return "Permanent"
  }
  if (status === undefined) return "Transient"
  return status === 408 || status === 409 || status === 429 || status >= 500 ? "Transient" : "Permanent"
}

const sentence = (
  kind: string,
  status: number | undefined,
  said: string,
  requestId: string | undefined,
  reported: Pick<Reported, "model" | "url">
): string => {
  const what = `${introduction(kind, reported)} (${status === undefined ? kind : `${status} ${kind}`})`
  const words = said === "" ? what : `${what}: ${said.replace(/\.$/, "")}`
  return requestId === undefined ? `${words}.` : `${words} [${requestId}].`
}

const introduction = (kind: string, { model, url }: Pick<Reported, "model" | "url">): string => {
  switch (kind) {
    case "authentication_error":
      return `${url} rejected the key; check OPENAI_API_KEY`
    case "permission_error":
      return "The key does not have this permission"
    case "insufficient_quota":
      return "The account has no credit left, or has reached its spend limit; add credit or raise the limit, and run this again"
    case "not_found_error":
      return `${url} does not have the model ${model}; check its name, and on a local server download it first`
    case "no_endpoint":
      return `${url} does not answer chat completions; the base URL of most servers ends in /v1`
    case "context_length_exceeded":
      return `The task does not fit into the context window of ${model}; make it smaller`
    case "content_filter":
      return "The request was refused by a content filter"
    case "rate_limit_error":
      return `${url} limits the rate of requests`
    default:
      return `${url} answered with an error`
  }
}

const longestSaid = 500

const shorten = (text: string) => (text.length <= longestSaid ? text : `${text.slice(0, longestSaid)}…`)
