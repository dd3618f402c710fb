/**
 * A client of OpenAI's API and of the servers with the same chat completions API: OpenRouter, Gemini's compatible endpoint,
 * Ollama, vLLM and others. Executor, judge and `plan` share it.
 *
 * Answers are always streamed, and count only when they are complete: one that ends without a reason for its end, or goes
 * silent, is an error. The client never retries, because its callers keep the budget; its errors say whether a retry can
 * help, and when:
 *
 * | what happens | reason |
 * |---|---|
 * | 400, 404 for a model, 413, 422, another 4xx | `Permanent` |
 * | 401, 402, 403, `insufficient_quota`, 404 for the address | `Fatal` |
 * | 408, 409, 429, 5xx | `Transient`, with `retryAfter` where the server states it |
 * | the same as an `error` in a stream | as its code says |
 * | no connection, a lost connection, an answer without its end | `Transient` |
 * | no answer within `timeout`, silence for `idleTimeout` | `TimedOut` |
 * | a response that is not a stream of events | `Failed` |
 * | a web page | `Fatal` |
 *
 * The usage comes from the last chunk. A server that does not count has an unknown usage, for which a budget books what was
 * reserved.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type { TaskStore } from "@baton/core/TaskStore"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  type About,
  type ClientOptions,
  type ClientService,
  defaultIdleTimeout,
  type Headers,
  type ModelInfo,
  within as withinTimeout
} from "../internal/chat/Client.ts"
import * as EventStream from "../internal/chat/eventStream.ts"
import type { ModelError } from "../internal/chat/ModelError.ts"
import * as Pacing from "../internal/chat/Pacing.ts"
import * as Pricing from "../internal/chat/Pricing.ts"
import * as RateShares from "../internal/chat/rateShares.ts"
import type { Reply } from "../internal/chat/Reply.ts"
import { makeWatchdog } from "../internal/chat/watchdog.ts"
import { type LimitName, toChatRequest } from "./internal/chatRequest.ts"
import * as ChatStream from "./internal/chatStream.ts"
import { Completion, toReply } from "./internal/completion.ts"
import { toPaceHeaders } from "./internal/rateLimitHeaders.ts"
import * as Sdk from "./internal/sdk.ts"

/**
 * The client service.
 *
 * @category services
 * @since 0.1.0
 */
export class OpenAiClient extends Context.Service<OpenAiClient, OpenAiClientService>()(
  "@baton/adapters/openai/OpenAiClient"
) {}

/** @since 0.1.0 */
export interface OpenAiClientService extends ClientService {}

export {
  type About,
  type Grant,
  granted,
  type ModelInfo,
  type Spend,
  usageOf,
  withoutBudget
} from "../internal/chat/Client.ts"

/**
 * How to reach the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Sdk.Options, ClientOptions {}

/**
 * A client of a server. It prices what requests use by `Pricing.Prices`, which lists no model of OpenAI: provide your own
 * prices, or a budget in USD refuses every request. Where a server reports the billed amount, as OpenRouter does, that is the
 * cost.
 *
 * **Example**
 *
 * ```ts
 * import { OpenAiClient, OpenAiExecutor, Pricing } from "@baton/adapters/openai"
 * import { Layer } from "effect"
 *
 * const prices = Layer.succeed(
 *   Pricing.Prices,
 *   Pricing.merge(Pricing.listed, { models: { "qwen3:8b": { input: 0, output: 0 } } })
 * )
 *
 * const executor = OpenAiExecutor.layer({ model: "qwen3:8b" }).pipe(
 *   Layer.provide(OpenAiClient.layer({ baseUrl: "http://localhost:11434/v1" })),
 *   Layer.provide(prices)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<OpenAiClient> =>
  Layer.effect(OpenAiClient, make(options, undefined))

/**
 * The same, for processes that work side by side: the server's limits and the configured ones are for all processes together that use
 * the same key and the same store. Each of them keeps to its share, which follows what the others need within seconds. On a
 * store that only one process can use at a time, it is the same as `layer`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerShared = (options: Options): Layer.Layer<OpenAiClient, never, TaskStore> =>
  Layer.effect(
    OpenAiClient,
    Effect.flatMap(RateShares.make(options), (shares) => make(options, shares))
  )

const make = Effect.fnUntraced(function* (options: Options, shares: RateShares.RateShares | undefined) {
  const sdk = yield* Sdk.make(options)
  const clock = yield* Clock.Clock
  const pacing = yield* Pacing.make(options.pacing, shares)
  const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? defaultIdleTimeout)
  const watchdog = yield* makeWatchdog(idleTimeout)
  const prices = yield* Pricing.Prices
  const usualLimit: LimitName = isOpenAi(options.baseUrl) ? "max_completion_tokens" : "max_tokens"
  /** The models that asked for the other name of the limit. */
  const limitNames = new Map<string, LimitName>()

  const within = withinTimeout(options, sdk.errors.tookLongerThan)

  const readAnswer = (
    response: Response,
    model: string,
    { onStart, onText }: About,
    onHeaders: (headers: Headers) => Effect.Effect<void>
  ): Effect.Effect<Reply, ModelError> => {
    // Copied, because one lookup in `Headers` takes as long as the copy.
    const values = new Map(response.headers)
    const headers = { get: (name: string) => values.get(name) ?? null }
    const requestId = headers.get("x-request-id")
    const type = headers.get("content-type") ?? "nothing"
    if (type.startsWith("text/html")) return Effect.fail(sdk.errors.webPage(requestId ?? undefined))
    if (response.body === null || !type.startsWith("text/event-stream")) {
      const what = `Instead of a stream of events, the server answered with ${type}`
      return Effect.andThen(onHeaders(headers), Effect.fail(sdk.errors.malformed(what, requestId ?? undefined)))
    }
    const { body } = response
    return Effect.flatMap(onHeaders(headers), () =>
      Effect.flatMap(
        EventStream.read(body, ChatStream.make(), {
          watchdog,
          idleTimeout: Duration.format(idleTimeout),
          requestId: requestId ?? undefined,
          onStart,
          onText,
          errors: sdk.errors,
          answer: "The model's answer",
          reported: (error, at) => sdk.reported(model, error, at)
        }),
        (completion) =>
          Exit.match(decodeCompletion(completion), {
            onSuccess: (completion) => Effect.succeed(toReply(completion, { model, prices, requestId })),
            onFailure: () =>
              Effect.fail(sdk.errors.malformed("The model's answer is not a chat completion", requestId ?? undefined))
          })
      )
    )
  }

  const stream = (about: About, permit: Pacing.Permit): Effect.Effect<Reply, ModelError> =>
    Effect.suspend(() => {
      about.onSend?.()
      // It aborts the request at any point: before the headers, in the body, and between the two.
      const controller = new AbortController()
      const { request } = permit
      const { model } = request
      const onHeaders = (headers: Headers) => permit.onHeaders(toPaceHeaders(headers, clock.currentTimeMillisUnsafe()))
      const open = (limitName: LimitName) =>
        sdk.open(model, toChatRequest(request, limitName), controller.signal, onHeaders)
      const limitName = limitNames.get(model) ?? usualLimit
      const opened = Effect.catch(open(limitName), (error) => {
        const other = otherLimit(limitName, error)
        if (other === undefined) return Effect.fail(error)
        limitNames.set(model, other)
        return open(other)
      })
      return Effect.onExit(
        within(about.purpose)(Effect.flatMap(opened, (response) => readAnswer(response, model, about, onHeaders))),
        (exit) => {
          if (Exit.isFailure(exit)) controller.abort()
          return Effect.void
        }
      )
    })

  return {
    billing: "standard",
    send: (request, about) => pacing.pace(request, (permit) => stream(about, permit), about.spend),
    countTokens: () =>
      Effect.fail(sdk.errors.malformed("OpenAI-compatible servers do not count tokens in advance", undefined)),
    model: (id) =>
      Effect.flatMap(
        sdk.call(id, (client, signal) => client.models.retrieve(id, { signal })),
        (answer) =>
          Effect.mapBoth(decodeModel(answer), {
            onSuccess: (model): ModelInfo => ({
              id: model.id,
              lifecycle: "active",
              retiresAt: null,
              maxInputTokens: null,
              maxOutputTokens: null
            }),
            onFailure: () => sdk.errors.malformed("The server's answer is not a model", undefined)
          })
      )
  } satisfies OpenAiClientService
})

/**
 * The other name of the limit, where a server refuses the one that was sent. Such a refusal is not billed. Without its limit,
 * an answer could cost more than its reservation.
 */
const otherLimit = (sent: LimitName, { message, status }: ModelError): LimitName | undefined => {
  const other = sent === "max_tokens" ? "max_completion_tokens" : "max_tokens"
  const isAboutIt = status === 400 && new RegExp(`\\b${sent}\\b`).test(message)
  return isAboutIt && /unsupported|not supported|unknown|unrecognized|unexpected|extra/i.test(message)
    ? other
    : undefined
}

const isOpenAi = (baseUrl: string | undefined): boolean =>
  baseUrl === undefined ||
  (URL.canParse(baseUrl) && /(?:^|\.)openai\.(?:com|azure\.com)$/.test(new URL(baseUrl).hostname))

const decodeCompletion = Schema.decodeUnknownExit(Completion)

const decodeModel = Schema.decodeUnknownEffect(Schema.Struct({ id: Schema.String }))
