import type { Anthropic } from "@anthropic-ai/sdk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ClaudeError } from "../ClaudeError.ts"
import type { MessageRequest } from "../MessageRequest.ts"
import { noTokens } from "../Reply.ts"
import * as Broken from "./transport/broken.ts"
import type { Headers } from "./transport/retryAfter.ts"
import { stated } from "./transport/failure.ts"

/** Where and as whom requests are made. */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** Default `https://api.anthropic.com`. */
  readonly baseUrl?: string | undefined
  /** How long a request may take until its answer begins. Default 5 minutes, which is also the most. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The official SDK, held to what it is good at: it makes requests and states errors. It does not try again, looks for no
 * other credentials, opens no spans, and prints nothing.
 */
export interface Sdk {
  /** One call; interrupting it aborts the request. */
  readonly call: <A>(make: (client: Anthropic, signal: AbortSignal) => PromiseLike<A>) => Effect.Effect<A, ClaudeError>
  /**
   * Asks for a message as a stream, and returns once its headers are there. The caller's signal ends the request at any
   * point, its body included. `refused` hears the headers of an error before it is handed on.
   */
  readonly open: (
    request: MessageRequest,
    signal: AbortSignal,
    refused: (headers: Headers) => Effect.Effect<void>
  ) => Effect.Effect<Response, ClaudeError>
  /** Takes the key out of a text that comes from outside. */
  readonly hide: (text: string) => string
}

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Sdk> {
  // Loaded here, so that the module costs nothing where no client is made.
  const { APIConnectionTimeoutError, APIError, Anthropic } = yield* Effect.promise(() => import("@anthropic-ai/sdk"))
  const clock = yield* Clock.Clock
  const key = Redacted.value(options.apiKey).trim()
  const baseURL = options.baseUrl ?? "https://api.anthropic.com"
  const timeout = Duration.fromInputUnsafe(options.timeout ?? Duration.minutes(5))
  const flaw = flawOf(key, baseURL)
  const host = URL.canParse(baseURL) ? new URL(baseURL).host : ""
  const hide = (text: string) => (key === "" ? text : text.replaceAll(key, "<key>"))

  // A key and an address that are given explicitly keep the SDK from looking for others.
  const client = new Anthropic({
    apiKey: key,
    baseURL,
    timeout: Duration.toMillis(timeout),
    maxRetries: 0,
    openTelemetry: false,
    logLevel: "off"
  })

  const failure = (cause: unknown): ClaudeError => {
    if (cause instanceof APIConnectionTimeoutError) return Broken.late(Duration.format(timeout))
    if (!(cause instanceof APIError) || cause.status === undefined) return Broken.unreachable(cause, host)
    return stated({
      status: cause.status,
      body: cause.error,
      headers: cause.headers,
      nowMillis: clock.currentTimeMillisUnsafe(),
      tokens: noTokens,
      hide
    })
  }

  return {
    hide,
    call: (make) =>
      flaw === undefined
        ? Effect.callback((resume, signal) => {
            make(client, signal).then(
              (value) => resume(Effect.succeed(value)),
              (cause: unknown) => resume(Effect.fail(failure(cause)))
            )
          })
        : Effect.fail(Broken.unusable(flaw)),
    open: (request, signal, refused) =>
      flaw === undefined
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
                  resume(headers === undefined ? failed : Effect.andThen(refused(headers), failed))
                }
              )
          })
        : Effect.fail(Broken.unusable(flaw))
  }
})

const flawOf = (key: string, baseUrl: string): string | undefined => {
  if (key === "") return "The key for Claude's API is empty"
  if (!/^[\x21-\x7e]+$/.test(key))
    return "The key for Claude's API has a character in it that no key has: copy it again"
  if (!URL.canParse(baseUrl)) return `The base URL "${baseUrl}" of Claude's API is no URL: write it as https://host`
  return undefined
}
