import type { Anthropic } from "@anthropic-ai/sdk"
import * as Usage from "@baton/core/Usage"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Headers } from "../../internal/chat/Client.ts"
import type { ClaudeError } from "../ClaudeError.ts"
import type { MessageRequest } from "../../internal/chat/MessageRequest.ts"
import * as ApiErrors from "./apiErrors.ts"

/** The API's address and key. */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** Default `https://api.anthropic.com`. */
  readonly baseUrl?: string | undefined
  /** How long a request may take until its answer begins. Default 5 minutes, which is also the most. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The official SDK, reduced to sending requests and reporting errors: it does not retry, look for other credentials, open
 * spans or print anything.
 */
export interface Sdk {
  /** One call; interrupting it aborts the request. */
  readonly call: <A>(make: (client: Anthropic, signal: AbortSignal) => PromiseLike<A>) => Effect.Effect<A, ClaudeError>
  /**
   * Requests a message as a stream, and returns when its headers have arrived. The caller's signal aborts the request at any
   * point, its body included. `onRefusal` receives the headers of an error before the effect fails.
   */
  readonly open: (
    request: MessageRequest,
    signal: AbortSignal,
    onRefusal: (headers: Headers) => Effect.Effect<void>
  ) => Effect.Effect<Response, ClaudeError>
  /** Removes the key from a text of the server. */
  readonly hide: (text: string) => string
}

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Sdk> {
  // Loaded here, so that importing the module does not load the SDK.
  const { APIConnectionTimeoutError, APIError, Anthropic } = yield* Effect.promise(() => import("@anthropic-ai/sdk"))
  const clock = yield* Clock.Clock
  const key = Redacted.value(options.apiKey).trim()
  const baseURL = options.baseUrl ?? "https://api.anthropic.com"
  const timeout = Duration.fromInputUnsafe(options.timeout ?? Duration.minutes(5))
  const problem = problemOf(key, baseURL)
  const host = URL.canParse(baseURL) ? new URL(baseURL).host : ""
  const hide = (text: string) => (key === "" ? text : text.replaceAll(key, "<key>"))

  // With an explicit key and address, the SDK does not look for others.
  const client = new Anthropic({
    apiKey: key,
    baseURL,
    timeout: Duration.toMillis(timeout),
    maxRetries: 0,
    openTelemetry: false,
    logLevel: "off"
  })

  const failure = (cause: unknown): ClaudeError => {
    if (cause instanceof APIConnectionTimeoutError) return ApiErrors.noAnswerWithin(Duration.format(timeout))
    if (!(cause instanceof APIError) || cause.status === undefined) return ApiErrors.connectionFailed(cause, host)
    return ApiErrors.fromApi({
      status: cause.status,
      body: cause.error,
      headers: cause.headers,
      nowMillis: clock.currentTimeMillisUnsafe(),
      usage: Usage.zero,
      hide
    })
  }

  return {
    hide,
    call: (make) =>
      problem === undefined
        ? Effect.callback((resume, signal) => {
            make(client, signal).then(
              (value) => resume(Effect.succeed(value)),
              (cause: unknown) => resume(Effect.fail(failure(cause)))
            )
          })
        : Effect.fail(ApiErrors.misconfigured(problem)),
    open: (request, signal, onRefusal) =>
      problem === undefined
        ? Effect.callback((resume) => {
            const body = { ...request, stream: true }
            client
              .post("/v1/messages", { body, stream: true, signal })
              .asResponse()
              .then(
                (response) => resume(Effect.succeed(response)),
                (cause: unknown) => {
                  const failed = Effect.fail(failure(cause))
                  const headers = cause instanceof APIError ? cause.headers : undefined
                  resume(headers === undefined ? failed : Effect.andThen(onRefusal(headers), failed))
                }
              )
          })
        : Effect.fail(ApiErrors.misconfigured(problem))
  }
})

const problemOf = (key: string, baseUrl: string): string | undefined => {
  if (key === "") return "The key for Claude's API is empty"
  if (!/^[\x21-\x7e]+$/.test(key))
    return "The key for Claude's API contains a character that keys do not have: copy it again"
  if (!URL.canParse(baseUrl)) return `The base URL "${baseUrl}" of Claude's API is not a URL: write it as https://host`
  return undefined
}
