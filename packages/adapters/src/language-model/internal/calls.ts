import type { AttemptContext } from "@baton/core/AttemptContext"
import type { ExecutionError } from "@baton/core/ExecutionError"
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import type { AiError } from "effect/ai/AiError"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import type * as Ai from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Costs } from "../Costs.ts"

interface Response {
  readonly usage: Ai.Usage
}

/** Calls a language model under the budgets of the task and of the run. `usageOf` is undefined where the usage is unknown. */
export const make = Effect.fnUntraced(function* (costs: Costs) {
  const name = Option.getOrElse(yield* Effect.serviceOption(Model.ModelName), () => "the language model")
  const maxOutputTokens = costs.maxOutputTokens ?? defaultMaxOutputTokens

  const priced = (tokens: Omit<Usage.Usage, "costUsd">): Usage.Usage => ({
    ...tokens,
    costUsd: costs.price?.(tokens) ?? null
  })

  const usageOf = ({ usage: { inputTokens, outputTokens } }: Response): Usage.Usage | undefined => {
    const { cacheRead = 0, cacheWrite = 0, total, uncached } = inputTokens
    if (uncached === undefined && total === undefined && outputTokens.total === undefined) return undefined
    return priced({
      inputTokens: uncached ?? Math.max(0, (total ?? 0) - cacheRead - cacheWrite),
      outputTokens: outputTokens.total ?? (outputTokens.text ?? 0) + (outputTokens.reasoning ?? 0),
      cacheReadTokens: cacheRead,
      cacheWriteTokens: cacheWrite
    })
  }

  const usageOfError = ({ reason }: AiError): Usage.Usage | undefined => {
    switch (reason._tag) {
      // Refused before it reached a model.
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
          ? undefined
          : priced({ ...Usage.zero, inputTokens: promptTokens, outputTokens: completionTokens })
      }
      default:
        return undefined
    }
  }

  const spend = <A extends Response>(
    texts: { readonly system: string; readonly user: string },
    call: (prompt: Prompt.Prompt) => Effect.Effect<A, AiError>,
    context: AttemptContext
  ): Effect.Effect<A, AiError | SafetyStop> => {
    const most = {
      ...Usage.zero,
      inputTokens: bytes(texts.system) + bytes(texts.user) + addedByProvider,
      outputTokens: maxOutputTokens
    }
    return context.spend({
      worstCase: { costUsd: priced(most).costUsd, tokens: Usage.totalTokens(most), what: name },
      call: call(promptOf(texts)),
      spent: (exit) => {
        if (Exit.isSuccess(exit)) return usageOf(exit.value)
        const error = Cause.findErrorOption(exit.cause)
        return Option.isSome(error) ? usageOfError(error.value) : undefined
      }
    })
  }

  return { spend, usageOf, usageOfError }
})

const defaultMaxOutputTokens = 8192

// A token is at least one byte.
const bytes = (text: string) => new TextEncoder().encode(text).length

// Providers add marks between turns and instructions for structured output.
const addedByProvider = 1024

const promptOf = ({ system, user }: { readonly system: string; readonly user: string }) =>
  Prompt.make([
    ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
    { role: "user" as const, content: [{ type: "text" as const, text: user }] }
  ])

/** The reason of an execution or verification error for an error of a language model. */
export const reasonOf = ({ reason }: AiError): ExecutionError["reason"] => {
  switch (reason._tag) {
    case "RateLimitError":
    case "InternalProviderError":
      return "Transient"
    case "NetworkError":
      return ofNetwork[reason.reason]
    case "AuthenticationError":
    case "QuotaExhaustedError":
    case "ToolConfigurationError":
      return "Fatal"
    case "ContentPolicyError":
    case "InvalidRequestError":
    case "InvalidUserInputError":
    case "UnsupportedSchemaError":
    case "ToolkitRequiredError":
      return "Permanent"
    case "InvalidOutputError":
    case "InvalidResponseError":
    case "InvalidToolResultError":
    case "StructuredOutputError":
    case "ToolNotFoundError":
    case "ToolParameterValidationError":
    case "ToolResultEncodingError":
    case "UnknownError":
      return "Failed"
  }
}

const ofNetwork = { TransportError: "Transient", EncodeError: "Permanent", InvalidUrlError: "Fatal" } as const

/** The first line of the provider's message, which continues with advice over several lines. */
export const sentence = ({ reason }: AiError): string => {
  const [line = ""] = reason.message.split("\n", 1)
  return line.length > 500 ? `${line.slice(0, 500).toWellFormed()}…` : line
}

/** The error for an answer that is incomplete; undefined for a complete one. */
export const unfinished = (
  finishReason: string
): { readonly reason: "Failed" | "Permanent"; readonly message: string } | undefined => {
  switch (finishReason) {
    case "length":
      return { reason: "Failed", message: "The answer was cut off at the model's limit of output tokens" }
    case "content-filter":
      return { reason: "Permanent", message: "The provider's content filter withheld the answer" }
    case "error":
    case "pause":
    case "tool-calls":
      return { reason: "Failed", message: `The model stopped in the middle (${finishReason})` }
    default:
      return undefined
  }
}
