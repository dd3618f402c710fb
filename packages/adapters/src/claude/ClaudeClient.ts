/**
 * The client of Claude's API. Executor, judge and `plan` share it, so that there is one place for pacing and one service to
 * decorate.
 *
 * The response cache and the batches are layers that take a `ClaudeClient` and provide another one, so an executor does not
 * know whether its request was sent at once, answered from the cache, or sent together with a thousand others.
 *
 * Answers are always streamed, and count only when they are complete: one that ends without `message_stop`, or goes silent,
 * is an error. The client never retries, because its callers keep the budget; its errors say whether a retry can help, and
 * when:
 *
 * | what happens | reason |
 * |---|---|
 * | 400, 404, 413, another 4xx | `Permanent` |
 * | 401, 403, 402, a spend limit, used-up credit | `Fatal` |
 * | 408, 409, 429, 5xx, 529 | `Transient`, with `retryAfter` where the server states it |
 * | the same as an `error` event in a stream | as its type says |
 * | no connection, a lost connection, an answer without its end | `Transient` |
 * | no answer within `timeout`, silence for `idleTimeout` | `TimedOut` |
 * | a response that Claude's API does not send | `Failed` |
 * | a web page | `Fatal` |
 *
 * @since 0.1.0
 */
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
  type ModelInfo,
  within as withinTimeout
} from "../internal/chat/Client.ts"
import { makeWatchdog } from "../internal/chat/watchdog.ts"
import type { ClaudeError } from "./ClaudeError.ts"
import * as ApiErrors from "./internal/apiErrors.ts"
import { ApiMessage, toReply } from "./internal/apiMessage.ts"
import * as MessageStream from "./internal/messageStream.ts"
import * as Sdk from "./internal/sdk.ts"
import * as Pacing from "../internal/chat/Pacing.ts"
import * as Pricing from "../internal/chat/Pricing.ts"
import * as RateShares from "../internal/chat/rateShares.ts"
import type { Reply } from "../internal/chat/Reply.ts"

/**
 * The client service.
 *
 * @category services
 * @since 0.1.0
 */
export class ClaudeClient extends Context.Service<ClaudeClient, ClaudeClientService>()(
  "@baton/adapters/claude/ClaudeClient"
) {}

/** @since 0.1.0 */
export interface ClaudeClientService extends ClientService {}

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
 * How to reach the API.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Sdk.Options, ClientOptions {}

/**
 * A client of the API. It prices what requests use by `Pricing.Prices`.
 *
 * **Example**
 *
 * ```ts
 * import { ClaudeClient, ClaudeExecutor } from "@baton/adapters/claude"
 * import { Config, Effect, Layer } from "effect"
 *
 * const client = Layer.unwrap(Effect.map(Config.Redacted("ANTHROPIC_API_KEY"), (apiKey) => ClaudeClient.layer({ apiKey })))
 *
 * const executor = ClaudeExecutor.layer({ system: "You answer in one sentence." }).pipe(Layer.provide(client))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ClaudeClient> =>
  Layer.effect(ClaudeClient, make(options, undefined))

/**
 * The same, for processes that work side by side: the API's limits and the configured ones are for all processes together that use
 * the same key and the same store. Each of them keeps to its share, which follows what the others need within seconds. On a
 * store that only one process can use at a time, it is the same as `layer`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerShared = (options: Options): Layer.Layer<ClaudeClient, never, TaskStore> =>
  Layer.effect(
    ClaudeClient,
    Effect.flatMap(RateShares.make(options), (shares) => make(options, shares))
  )

const make = Effect.fnUntraced(function* (options: Options, shares: RateShares.RateShares | undefined) {
  const sdk = yield* Sdk.make(options)
  const pacing = yield* Pacing.make(options.pacing, shares)
  const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? defaultIdleTimeout)
  const idleWords = Duration.format(idleTimeout)
  const watchdog = yield* makeWatchdog(idleTimeout)
  const prices = yield* Pricing.Prices

  const within = withinTimeout(options, ApiErrors.tookLongerThan)

  const readAnswer = (
    response: Response,
    model: string,
    { onStart, onText }: About,
    onHeaders: Pacing.Permit["onHeaders"]
  ): Effect.Effect<Reply, ClaudeError> => {
    // Copied, because one lookup in `Headers` takes as long as the copy.
    const values = new Map(response.headers)
    const headers = { get: (name: string) => values.get(name) ?? null }
    const requestId = headers.get("request-id")
    const type = headers.get("content-type") ?? "nothing"
    if (type.startsWith("text/html")) return Effect.fail(ApiErrors.webPage(requestId ?? undefined))
    if (response.body === null || !type.startsWith("text/event-stream")) {
      const what = `Instead of a stream of events, the server answered with ${type}`
      return Effect.andThen(onHeaders(headers), Effect.fail(ApiErrors.malformed(what, requestId ?? undefined)))
    }
    const { body } = response
    return Effect.flatMap(onHeaders(headers), () =>
      Effect.flatMap(
        MessageStream.read(body, {
          watchdog,
          idleTimeout: idleWords,
          requestId: requestId ?? undefined,
          onStart,
          onText,
          hide: sdk.hide
        }),
        (message) =>
          Exit.match(decodeMessage(message), {
            onSuccess: (message) => Effect.succeed(toReply(message, { model, prices, billing: "standard", requestId })),
            onFailure: () =>
              Effect.fail(ApiErrors.malformed("Claude's answer is not a message", requestId ?? undefined))
          })
      )
    )
  }

  const stream = (about: About, { onHeaders, request }: Pacing.Permit): Effect.Effect<Reply, ClaudeError> =>
    Effect.suspend(() => {
      about.onSend?.()
      // It aborts the request at any point: before the headers, in the body, and between the two.
      const controller = new AbortController()
      return Effect.onExit(
        within(about.purpose)(
          Effect.flatMap(sdk.open(request, controller.signal, onHeaders), (response) =>
            readAnswer(response, request.model, about, onHeaders)
          )
        ),
        (exit) => {
          if (Exit.isFailure(exit)) controller.abort()
          return Effect.void
        }
      )
    })

  return {
    billing: "standard",
    send: (request, about) => pacing.pace(request, (permit) => stream(about, permit), about.spend),
    countTokens: ({ messages, model, output_config, system, thinking }) =>
      Effect.flatMap(
        sdk.call((client, signal) =>
          client.post("/v1/messages/count_tokens", {
            body: { messages, model, output_config, system, thinking },
            signal
          })
        ),
        (answer) =>
          Effect.mapBoth(decodeCount(answer), {
            onSuccess: ({ input_tokens }) => input_tokens,
            onFailure: () => ApiErrors.malformed("The server's answer is not a number of tokens", undefined)
          })
      ),
    model: (id) =>
      Effect.flatMap(
        sdk.call((client, signal) => client.models.retrieve(id, undefined, { signal })),
        (answer) =>
          Effect.mapBoth(decodeModel(answer), {
            onSuccess: (model): ModelInfo => ({
              id: model.id,
              lifecycle: model.lifecycle ?? "active",
              retiresAt: model.retires_at?.slice(0, 10) ?? null,
              maxInputTokens: model.max_input_tokens ?? null,
              maxOutputTokens: model.max_tokens ?? null
            }),
            onFailure: () => ApiErrors.malformed("The server's answer is not a model", undefined)
          })
      )
  } satisfies ClaudeClientService
})

const decodeMessage = Schema.decodeUnknownExit(ApiMessage)

const decodeCount = Schema.decodeUnknownEffect(Schema.Struct({ input_tokens: Schema.Int }))

const Limit = Schema.optionalKey(Schema.NullOr(Schema.Int))

const decodeModel = Schema.decodeUnknownEffect(
  Schema.Struct({
    id: Schema.String,
    lifecycle: Schema.optionalKey(Schema.Literals(["active", "deprecated", "retired"])),
    retires_at: Schema.optionalKey(Schema.NullOr(Schema.String)),
    max_input_tokens: Limit,
    max_tokens: Limit
  })
)
