/**
 * The client of Claude's API that executor, judge and `plan` share: one place for pacing, and one service to decorate.
 *
 * The response cache and the batches are layers that take a `ClaudeClient` and provide another one, so an executor does
 * not know whether its request was sent at once, answered from the cache, or sent with a thousand others.
 *
 * Answers are always streamed, and count only when they are whole: one that ends without `message_stop`, or goes silent,
 * is an error. The client never tries again by itself, since whoever calls it keeps the budget; it tells whether trying
 * again makes sense, and when:
 *
 * | what happens | reason |
 * |---|---|
 * | 400, 404, 413, another 4xx | `Permanent` |
 * | 401, 403, 402, a spend limit, credit used up | `Fatal` |
 * | 408, 409, 429, 5xx, 529 | `Transient`, with `retryAfter` where the server says it |
 * | the same as an `error` event in a stream | as its type says |
 * | no connection, a connection that is lost, an answer without its end | `Transient` |
 * | no answer within `timeout`, nothing more within `idleTimeout` | `TimedOut` |
 * | an answer that is none of Claude's | `Failed` |
 * | a web page | `Fatal` |
 *
 * @since 0.1.0
 */
import type { TaskId } from "@baton/core/Task"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { ClaudeError } from "./ClaudeError.ts"
import * as reply from "./internal/reply.ts"
import * as Sdk from "./internal/sdk.ts"
import { read as readBody } from "./internal/transport/body.ts"
import * as Broken from "./internal/transport/broken.ts"
import * as Watchdog from "./internal/transport/watchdog.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pacing from "./Pacing.ts"
import type { Billing, Reply } from "./Reply.ts"

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
export interface ClaudeClientService {
  /** How its calls are paid for: a budget reserves at this price. */
  readonly billing: Billing
  /** Sends one request and returns the whole answer. Never tries again by itself; interrupting it aborts the request. */
  readonly send: (request: MessageRequest, about: About) => Effect.Effect<Reply, ClaudeError>
  /** An estimate of the input tokens of a request; free of charge. */
  readonly countTokens: (request: MessageRequest) => Effect.Effect<number, ClaudeError>
  /** What the API knows of a model; fails with `Permanent` when there is none of this name. */
  readonly model: (id: string) => Effect.Effect<ModelInfo, ClaudeError>
}

/** What a request is for. */
export interface About {
  readonly taskId: TaskId
  /** How often the task was requeued: an answer from before is not served again after that. */
  readonly requeues: number
  /** The attempt's key, with a suffix where an attempt makes several requests. */
  readonly idempotencyKey: string
  readonly purpose: "execute" | "judge"
  /** An answer that was rejected already, and must not come out of the cache again. */
  readonly rejected: string | null
  /**
   * Told when the request leaves or becomes part of a batch: until then it waits for its turn, and
   * interrupting it costs nothing. Every client has to tell.
   */
  readonly onSend?: (() => void) | undefined
  /**
   * Told when the answer begins: from then on, what the request has in common with others can be read from the prompt
   * cache. Not told where there is no such moment, as in a batch.
   */
  readonly onStart?: (() => void) | undefined
}

/** A model, as the API describes it. Prices are not part of it: see `Pricing`. */
export interface ModelInfo {
  readonly id: string
  readonly lifecycle: "active" | "deprecated" | "retired"
  /** The day it goes away, as `2026-11-30`. */
  readonly retiresAt: string | null
  readonly maxInputTokens: number | null
  readonly maxOutputTokens: number | null
}

/**
 * How the API is reached.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Sdk.Options {
  /** How long the server may say nothing, not even that it is alive, once its answer has begun. Default 90 seconds; at most 5 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long a whole request may take, by what it is for; waiting for its turn does not count. Default no limit. */
  readonly requestTimeout?: { readonly [purpose in About["purpose"]]?: Duration.Input } | undefined
  /** Limits to keep besides those that the server states. */
  readonly pacing?: Pacing.Options | undefined
}

/**
 * A client of the API itself.
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
export const layer = (options: Options): Layer.Layer<ClaudeClient> => Layer.effect(ClaudeClient, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const sdk = yield* Sdk.make(options)
  const pacing = yield* Pacing.make(options.pacing)
  const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? Duration.seconds(90))
  const idleWords = Duration.format(idleTimeout)
  const watchdog = yield* Watchdog.make(idleTimeout)

  const within = (purpose: About["purpose"]) => {
    const limit = options.requestTimeout?.[purpose]
    if (limit === undefined) return identity
    const duration = Duration.fromInputUnsafe(limit)
    const orElse = () => Effect.fail(Broken.overlong(Duration.format(duration)))
    return Effect.timeoutOrElse({ duration, orElse })
  }

  const readAnswer = (
    response: Response,
    onStart: About["onStart"],
    heard: Pacing.Permit["heard"]
  ): Effect.Effect<Reply, ClaudeError> => {
    // Read once: each look into `Headers` is as slow as all of this.
    const values = new Map(response.headers)
    const headers = { get: (name: string) => values.get(name) ?? null }
    const requestId = headers.get("request-id")
    const type = headers.get("content-type") ?? "nothing"
    if (type.startsWith("text/html")) return Effect.fail(Broken.page(requestId ?? undefined))
    if (response.body === null || !type.startsWith("text/event-stream")) {
      const what = `Instead of a stream of events, the server answered with ${type}`
      return Effect.andThen(heard(headers), Effect.fail(Broken.malformed(what, requestId ?? undefined)))
    }
    const { body } = response
    return Effect.flatMap(heard(headers), () =>
      Effect.flatMap(
        readBody(body, {
          watchdog,
          idleTimeout: idleWords,
          requestId: requestId ?? undefined,
          onStart,
          hide: sdk.hide
        }),
        (message) =>
          Exit.match(decodeMessage(message), {
            onSuccess: (message) => Effect.succeed(reply.fromMessage(message, { billing: "standard", requestId })),
            onFailure: () => Effect.fail(Broken.malformed("Claude's answer is not a message", requestId ?? undefined))
          })
      )
    )
  }

  const stream = (request: MessageRequest, about: About, { heard }: Pacing.Permit): Effect.Effect<Reply, ClaudeError> =>
    Effect.suspend(() => {
      about.onSend?.()
      // It ends the request at any point: before the headers, in the body, and between the two.
      const controller = new AbortController()
      return Effect.onExit(
        within(about.purpose)(
          Effect.flatMap(sdk.open(request, controller.signal, heard), (response) =>
            readAnswer(response, about.onStart, heard)
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
    send: (request, about) => pacing.pace(request, (permit) => stream(request, about, permit)),
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
            onFailure: () => Broken.malformed("The server's answer is not a number of tokens", undefined)
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
            onFailure: () => Broken.malformed("The server's answer is not a model", undefined)
          })
      )
  } satisfies ClaudeClientService
})

const decodeMessage = Schema.decodeUnknownExit(reply.Message)

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
