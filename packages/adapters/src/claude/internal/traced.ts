import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.ts"
import type { MessageRequest } from "../MessageRequest.ts"
import type { Reply } from "../Reply.ts"

/**
 * A span about one request, in the names of the OpenTelemetry GenAI conventions; neither prompt nor answer is part of it.
 * The SDK's own span is switched off, or there would be two.
 * https://github.com/open-telemetry/semantic-conventions-genai
 */
export const traced = (
  request: MessageRequest,
  purpose: "execute" | "judge",
  send: Effect.Effect<Reply, ClaudeError>
): Effect.Effect<Reply, ClaudeError> =>
  Effect.withFiber((fiber) =>
    // A span costs time even where nobody looks at it, as with Effect's own tracer, which keeps them in memory.
    fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer ? send : inSpan(request, purpose, send)
  )

const inSpan = (
  request: MessageRequest,
  purpose: "execute" | "judge",
  send: Effect.Effect<Reply, ClaudeError>
): Effect.Effect<Reply, ClaudeError> =>
  Effect.useSpan(
    `chat ${request.model}`,
    {
      kind: "client",
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": request.model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.stream": true,
        "gen_ai.output.type": request.output_config?.format === undefined ? "text" : "json",
        "baton.purpose": purpose
      }
    },
    (span) => Effect.onExit(Effect.withParentSpan(send, span), (exit) => Effect.sync(() => describe(span, exit)))
  )

const describe = (span: Tracer.Span, exit: Exit.Exit<Reply, ClaudeError>): void => {
  if (Exit.isSuccess(exit)) {
    const { billing, cached, id, model, stopReason, tokens } = exit.value
    span.attribute("gen_ai.response.id", id)
    span.attribute("gen_ai.response.model", model)
    span.attribute("gen_ai.response.finish_reasons", [stopReason])
    span.attribute(
      "gen_ai.usage.input_tokens",
      tokens.input + tokens.cacheRead + tokens.cacheWrite5m + tokens.cacheWrite1h
    )
    span.attribute("gen_ai.usage.output_tokens", tokens.output)
    span.attribute("gen_ai.usage.cache_read.input_tokens", tokens.cacheRead)
    span.attribute("gen_ai.usage.cache_write.input_tokens", tokens.cacheWrite5m + tokens.cacheWrite1h)
    span.attribute("baton.response.cached", cached)
    span.attribute("baton.response.billing", billing)
    return
  }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isSome(error)) span.attribute("error.type", error.value.type)
}
