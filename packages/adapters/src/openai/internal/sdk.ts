import type { OpenAI } from "openai"
import * as Usage from "@baton/core/Usage"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type { Headers } from "../../internal/chat/Client.ts"
import * as ConnectionErrors from "../../internal/chat/connectionErrors.ts"
import type { ModelError } from "../../internal/chat/ModelError.ts"
import * as ApiErrors from "./apiErrors.ts"

/** The server's address and key. */
export interface Options {
  /** Not needed by most local servers. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** Default `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
  /** How long a request may take until its answer begins. Default 5 minutes, which is also the most. */
  readonly timeout?: Duration.Input | undefined
}

export const defaultBaseUrl = "https://api.openai.com/v1"

/** The official SDK, reduced to sending requests and reporting errors: it does not retry or print anything. */
export interface Sdk {
  readonly errors: ConnectionErrors.ConnectionErrors
  /** One call about a model; interrupting it aborts the request. */
  readonly call: <A>(
    model: string,
    make: (client: OpenAI, signal: AbortSignal) => PromiseLike<A>
  ) => Effect.Effect<A, ModelError>
  /**
   * Requests a completion as a stream, and returns when its headers have arrived. The caller's signal aborts the request at
   * any point, its body included. `onRefusal` receives the headers of an error before the effect fails.
   */
  readonly open: (
    model: string,
    body: Schema.JsonObject,
    signal: AbortSignal,
    onRefusal: (headers: Headers) => Effect.Effect<void>
  ) => Effect.Effect<Response, ModelError>
  /** The error for an error event of a stream. */
  readonly reported: (
    model: string,
    error: unknown,
    at: { readonly nowMillis: number; readonly hasBegun: boolean }
  ) => ModelError
}

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Sdk> {
  // Loaded here, so that importing the module does not load the SDK.
  const { APIConnectionTimeoutError, APIError, OpenAI } = yield* Effect.promise(() => import("openai"))
  const clock = yield* Clock.Clock
  const key = options.apiKey === undefined ? "" : Redacted.value(options.apiKey).trim()
  const baseURL = options.baseUrl ?? defaultBaseUrl
  const timeout = Duration.fromInputUnsafe(options.timeout ?? Duration.minutes(5))
  const url = addressOf(baseURL)
  const errors = ConnectionErrors.make({
    api: `The server at ${url}`,
    answer: "The model's answer",
    ifRefused: `is the server running at ${url}?`
  })
  const problem = problemOf(key, baseURL, options.baseUrl === undefined)
  const hide = (text: string) => (key === "" ? text : text.replaceAll(key, "<key>"))

  // The SDK requires a key; servers that need none ignore it.
  const client = new OpenAI({
    apiKey: key === "" ? "none" : key,
    adminAPIKey: null,
    baseURL: URL.canParse(baseURL) ? baseURL : defaultBaseUrl,
    timeout: Duration.toMillis(timeout),
    maxRetries: 0,
    logLevel: "off"
  })

  const failure = (cause: unknown, model: string): ModelError => {
    if (cause instanceof APIConnectionTimeoutError) return errors.noAnswerWithin(Duration.format(timeout))
    if (!(cause instanceof APIError) || cause.status === undefined) return errors.connectionFailed(cause, url)
    return ApiErrors.fromApi({
      status: cause.status,
      // The SDK unwraps the envelope.
      body: { error: cause.error ?? "" },
      headers: cause.headers,
      nowMillis: clock.currentTimeMillisUnsafe(),
      usage: Usage.zero,
      model,
      url,
      hide
    })
  }

  return {
    errors,
    call: (model, make) =>
      problem === undefined
        ? Effect.callback((resume, signal) => {
            make(client, signal).then(
              (value) => resume(Effect.succeed(value)),
              (cause: unknown) => resume(Effect.fail(failure(cause, model)))
            )
          })
        : Effect.fail(errors.misconfigured(problem)),
    open: (model, body, signal, onRefusal) =>
      problem === undefined
        ? Effect.callback((resume) => {
            client
              .post("/chat/completions", { body, stream: true, signal })
              .asResponse()
              .then(
                (response) => resume(Effect.succeed(response)),
                (cause: unknown) => {
                  const failed = Effect.fail(failure(cause, model))
                  const headers = cause instanceof APIError ? cause.headers : undefined
                  resume(headers === undefined ? failed : Effect.andThen(onRefusal(headers), failed))
                }
              )
          })
        : Effect.fail(errors.misconfigured(problem)),
    reported: (model, error, { hasBegun, nowMillis }) =>
      ApiErrors.fromApi({
        status: undefined,
        body: error,
        headers: undefined,
        nowMillis,
        // An answer that had not begun cost nothing.
        usage: hasBegun ? undefined : Usage.zero,
        model,
        url,
        hide
      })
  }
})

/** Without a password or parameters, which are as secret as a key. */
const addressOf = (baseUrl: string): string => {
  if (!URL.canParse(baseUrl)) return baseUrl
  const { host, pathname, protocol } = new URL(baseUrl)
  return `${protocol}//${host}${pathname.replace(/\/$/, "")}`
}

const problemOf = (key: string, baseUrl: string, isDefault: boolean): string | undefined => {
  if (key === "" && isDefault) return "There is no key for OpenAI's API"
  if (key !== "" && !/^[\x21-\x7e]+$/.test(key))
    return "The key contains a character that keys do not have: copy it again"
  if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol))
    return `The base URL "${baseUrl}" is not the URL of a server: write it as http://host:port/v1`
  return undefined
}
