import type { IncomingMessage, ServerResponse } from "node:http"
import type { Failure, RequestSeen, Script } from "./Answer.ts"
import type { RateLimits } from "./rateLimits.ts"
import type { PromptCache } from "./tokens.ts"

/** What the routes share. */
export interface SharedState {
  readonly url: () => string
  script: Script
  /** Counts requests for messages. */
  messages: number
  /** Called for each ping of a stalled stream. */
  readonly pinged: () => void
  readonly promptCache: PromptCache
  readonly rateLimits: RateLimits
  /** The only key that is taken; any, when undefined. */
  readonly apiKey: string | undefined
}

/** One request under way. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly seen: RequestSeen
  readonly url: URL
  readonly requestId: string
}

/** Answers requests whose path and method match; `match` is what the pattern caught. */
export interface Route {
  readonly method: string
  readonly path: RegExp
  /** Whether key and version are checked first. Default true. */
  readonly checked?: boolean
  readonly handle: (shared: SharedState, exchange: Exchange, match: RegExpExecArray) => void | Promise<void>
}

export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const sendJson = (
  { requestId, response, seen }: Exchange,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
) => {
  if (response.destroyed) return
  seen.status = status
  response.writeHead(status, { "content-type": "application/json", "request-id": requestId, ...headers })
  response.end(JSON.stringify(body))
}

const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  504: "timeout_error",
  529: "overloaded_error"
}

/** The body of every error, in a response, in a stream, and in the results of a batch. */
export const envelope = (requestId: string, { errorCode, message, status, type }: Failure) => ({
  type: "error",
  error: {
    type: type ?? types[status] ?? "api_error",
    message: message ?? `status ${status}`,
    ...(errorCode === undefined ? {} : { details: { error_code: errorCode } })
  },
  request_id: requestId
})

export const sendError = (exchange: Exchange, failure: Failure, headers: Readonly<Record<string, string>> = {}) =>
  sendJson(exchange, failure.status, envelope(exchange.requestId, failure), {
    ...headers,
    ...(failure.retryAfter === undefined ? {} : { "retry-after": String(failure.retryAfter) }),
    ...failure.headers
  })

/** Thrown for an invalid request. */
export class Refused extends Error {
  readonly failure: Failure
  constructor(status: number, message: string, options: Omit<Failure, "status" | "message"> = {}) {
    super(message)
    this.failure = { status, message, ...options }
  }
}
