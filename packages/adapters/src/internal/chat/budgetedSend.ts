import type { AttemptContext } from "@baton/core/AttemptContext"
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { type About, type ClientService, usageOf } from "./Client.ts"
import type { Dialect } from "./Dialect.ts"
import type { ModelError } from "./ModelError.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"
import type { Reply } from "./Reply.ts"

/** Sends requests under the budgets of the task and of the run, each with a span. */
export const make = (client: ClientService, prices: Pricing.PriceTable, { provider }: Dialect) => {
  const bounds = makeBounds()
  return (
    request: MessageRequest,
    about: About,
    context: AttemptContext
  ): Effect.Effect<Reply, ModelError | SafetyStop> =>
    Effect.suspend(() => {
      const bound = bounds.of(request)
      let wasSent = false
      const observed: About = {
        ...about,
        onSend: () => {
          wasSent = true
          about.onSend?.()
        }
      }
      return context.spend({
        worstCase: Pricing.worstCase(prices, request, client.billing, bound),
        call: withSpan(
          request,
          about.purpose,
          provider,
          Effect.tap(client.send(request, observed), (reply) =>
            Effect.sync(() => bounds.learn(request, bound.messages, reply))
          )
        ),
        spent: (exit) => {
          const isInterrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          // A request that was interrupted while it waited for its turn cost nothing.
          return isInterrupted && !wasSent ? Usage.zero : usageOf(exit)
        },
        // It stays in its batch, and the same request of a later attempt gets its reply.
        isResumable: client.billing === "batch"
      })
    })
}

/**
 * Bounds of the input that become tighter with each reply. All tokens that were billed for one request are an upper bound of
 * the part that the next request has in common with it, because the tokens of a text do not depend on the turns that follow
 * it. The messages are new each time, so they count with their bytes.
 */
const makeBounds = () => {
  let learned: { readonly from: MessageRequest; readonly messages: number; readonly tokens: number } | undefined

  const isLearnedFor = (request: MessageRequest): boolean =>
    learned !== undefined &&
    learned.from.model === request.model &&
    learned.from.system === request.system &&
    learned.from.output_config === request.output_config &&
    learned.from.thinking === request.thinking

  return {
    of: (request: MessageRequest): Pricing.InputBound => {
      const bytes = Pricing.inputBound(request)
      if (learned === undefined || !isLearnedFor(request)) return bytes
      const least = Math.ceil(bytes.fixed / mostBytesPerToken)
      return { ...bytes, fixed: Math.min(bytes.fixed, Math.max(least, learned.tokens + margin)) }
    },
    /** The reply to the shortest messages has the tightest bound. */
    learn: (request: MessageRequest, messages: number, { cached, usage }: Reply): void => {
      if (usage === null || cached) return
      const tokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens
      if (tokens === 0) return
      const isTighter =
        learned === undefined ||
        !isLearnedFor(request) ||
        messages < learned.messages ||
        (messages === learned.messages && tokens > learned.tokens)
      if (isTighter) learned = { from: request, messages, tokens }
    }
  }
}

/** Tokens at the boundary between the common part and the messages. */
const margin = 64

/** Common texts have fewer bytes per token. It limits the harm of a gateway that counts too little. */
const mostBytesPerToken = 8

/**
 * A span for one request, named by the OpenTelemetry GenAI conventions; it does not contain the prompt or the answer. The SDK's
 * span is switched off, because it would duplicate this one.
 * https://github.com/open-telemetry/semantic-conventions-genai
 */
const withSpan = (
  request: MessageRequest,
  purpose: About["purpose"],
  provider: string,
  send: Effect.Effect<Reply, ModelError>
): Effect.Effect<Reply, ModelError> =>
  Effect.withFiber((fiber) =>
    // Effect's own tracer keeps spans in memory, where nothing reads them, and a span costs time.
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? send
      : Effect.useSpan(
          `chat ${request.model}`,
          { kind: "client", attributes: attributesOf(request, purpose, provider) },
          (span) => Effect.onExit(Effect.withParentSpan(send, span), (exit) => Effect.sync(() => describe(span, exit)))
        )
  )

const attributesOf = (request: MessageRequest, purpose: About["purpose"], provider: string) => ({
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": provider,
  "gen_ai.request.model": request.model,
  "gen_ai.request.max_tokens": request.max_tokens,
  "gen_ai.request.stream": true,
  "gen_ai.output.type": request.output_config?.format === undefined ? "text" : "json",
  "baton.purpose": purpose
})

const describe = (span: Tracer.Span, exit: Exit.Exit<Reply, ModelError>): void => {
  if (Exit.isFailure(exit)) {
    const error = Cause.findErrorOption(exit.cause)
    if (Option.isSome(error)) span.attribute("error.type", error.value.type)
    return
  }
  const { billing, cached, id, model, stopReason, usage } = exit.value
  span.attribute("gen_ai.response.id", id)
  span.attribute("gen_ai.response.model", model)
  span.attribute("gen_ai.response.finish_reasons", [stopReason])
  if (usage !== null) {
    const { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens } = usage
    span.attribute("gen_ai.usage.input_tokens", inputTokens + cacheReadTokens + cacheWriteTokens)
    span.attribute("gen_ai.usage.output_tokens", outputTokens)
    span.attribute("gen_ai.usage.cache_read.input_tokens", cacheReadTokens)
    span.attribute("gen_ai.usage.cache_write.input_tokens", cacheWriteTokens)
  }
  span.attribute("baton.response.cached", cached)
  span.attribute("baton.response.billing", billing)
}
