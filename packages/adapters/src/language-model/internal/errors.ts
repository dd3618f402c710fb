import type { ExecutionError } from "@baton/core/ExecutionError"
import type { AiError } from "effect/ai/AiError"

/** What an error of a language model means to a task; it is the same for doing the task and for judging it. */
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

/** One sentence: the provider's own words go on over several lines, with advice of their own. */
export const sentence = ({ reason }: AiError): string => {
  const [line = ""] = reason.message.split("\n", 1)
  return line.length > 500 ? `${line.slice(0, 500).toWellFormed()}…` : line
}

/** What an answer is worth whose end is not its own; undefined when it is whole. */
export const unfinished = (
  finishReason: string
): { readonly reason: "Failed" | "Permanent"; readonly message: string } | undefined => {
  switch (finishReason) {
    case "length":
      return { reason: "Failed", message: "The answer was cut off at the model's limit of output tokens" }
    case "content-filter":
      return { reason: "Permanent", message: "The answer was held back by the provider's content filter" }
    case "error":
    case "pause":
    case "tool-calls":
      return { reason: "Failed", message: `The model stopped in the middle (${finishReason})` }
    default:
      return undefined
  }
}
