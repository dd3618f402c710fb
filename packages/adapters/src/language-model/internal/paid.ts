import type { AttemptContext } from "@baton/core/AttemptContext"
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import type { AiError } from "effect/ai/AiError"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Costs } from "../Costs.ts"

interface Answer {
  readonly usage: Response.Usage
}

/** Makes calls under the run's budget. `usageOf` is null where nobody can say. */
export const paid = Effect.fnUntraced(function* (costs: Costs) {
  const name = Option.getOrElse(yield* Effect.serviceOption(Model.ModelName), () => "the language model")
  const maxOutputTokens = costs.maxOutputTokens ?? defaultMaxOutputTokens

  const priced = (tokens: Omit<Usage.Usage, "costUsd">): Usage.Usage => ({
    ...tokens,
    costUsd: costs.price?.(tokens) ?? null
  })

  const usageOf = ({ usage: { inputTokens, outputTokens } }: Answer): Usage.Usage | null => {
    const { cacheRead = 0, cacheWrite = 0, total, uncached } = inputTokens
    if (uncached === undefined && total === undefined && outputTokens.total === undefined) return null
    return priced({
      inputTokens: uncached ?? Math.max(0, (total ?? 0) - cacheRead - cacheWrite),
      outputTokens: outputTokens.total ?? (outputTokens.text ?? 0) + (outputTokens.reasoning ?? 0),
      cacheReadTokens: cacheRead,
      cacheWriteTokens: cacheWrite
    })
  }

  const usageOfError = ({ reason }: AiError): Usage.Usage | null => {
    switch (reason._tag) {
      // Turned away before a model saw it.
      case "RateLimitError":
      case "QuotaExhaustedError":
      case "AuthenticationError":
      case "InvalidRequestError":
      case "InvalidUserInputError":
      case "UnsupportedSchemaError":
        return Usage.zero
      case "InvalidOutputError":
      case "StructuredOutputError": {
        const { completionTokens, promptTokens } = reason.usage ?? {}
        return promptTokens === undefined || completionTokens === undefined
          ? null
          : priced({ ...Usage.zero, inputTokens: promptTokens, outputTokens: completionTokens })
      }
      default:
        return null
    }
  }

  const spend = <A extends Answer>(
    texts: { readonly system: string; readonly user: string },
    call: (prompt: Prompt.Prompt) => Effect.Effect<A, AiError>,
    context: AttemptContext
  ): Effect.Effect<A, AiError | SafetyStop> => {
    const most = {
      ...Usage.zero,
      inputTokens: bytes(texts.system) + bytes(texts.user) + around,
      outputTokens: maxOutputTokens
    }
    return context.spend({
      worstCase: { costUsd: priced(most).costUsd, tokens: Usage.totalTokens(most), what: name },
      call: call(promptOf(texts)),
      spent: (exit) => {
        if (Exit.isSuccess(exit)) return usageOf(exit.value)
        const error = Cause.findErrorOption(exit.cause)
        return Option.isSome(error) ? usageOfError(error.value) : null
      }
    })
  }

  return { spend, usageOf, usageOfError }
})

const defaultMaxOutputTokens = 8192

// A token stands for at least one byte.
const bytes = (text: string) => new TextEncoder().encode(text).length

// What providers add: marks between turns, instructions for structured output.
const around = 1024

const promptOf = ({ system, user }: { readonly system: string; readonly user: string }) =>
  Prompt.make([
    ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
    { role: "user" as const, content: [{ type: "text" as const, text: user }] }
  ])
