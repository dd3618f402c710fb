import * as Predicate from "effect/Predicate"
import type { PartialAnswer } from "../../internal/chat/eventStream.ts"

type Json = { readonly [key: PropertyKey]: unknown }

/**
 * Assembles a completion from its chunks. The chunk with the usage comes after the one with the reason for which the answer
 * ended, and `[DONE]` after both. Some servers leave out `[DONE]`, so an answer whose end has a reason is whole.
 */
export const make = (): PartialAnswer => {
  let first: Json | undefined
  let usage: unknown = null
  let content = ""
  let refusal = ""
  let hasTool = false
  let finishReason: string | null = null
  let isComplete = false
  let error: unknown

  const takeChoice = (choice: Json): void => {
    const delta = objectOf(choice["delta"])
    content += textOf(delta["content"])
    refusal += textOf(delta["refusal"])
    if (Array.isArray(delta["tool_calls"]) && delta["tool_calls"].length > 0) hasTool = true
    if (Predicate.isString(choice["finish_reason"])) finishReason = choice["finish_reason"]
  }

  return {
    take: (_, data) => {
      if (data.trim() === "[DONE]") {
        isComplete = first !== undefined
        return
      }
      const chunk = objectOf(JSON.parse(data))
      if (chunk["error"] !== undefined && chunk["error"] !== null) {
        error = chunk
        return
      }
      first ??= chunk
      if (chunk["usage"] !== undefined && chunk["usage"] !== null) usage = chunk["usage"]
      // Only the first choice: a request asks for one.
      const [choice] = Array.isArray(chunk["choices"]) ? chunk["choices"] : []
      if (choice !== undefined) takeChoice(objectOf(choice))
    },
    hasBegun: () => first !== undefined,
    text: () => content,
    isComplete: () => isComplete,
    mayEnd: () => finishReason !== null,
    error: () => error,
    value: () => ({
      id: textOf(first?.["id"]),
      model: textOf(first?.["model"]),
      content,
      refusal,
      hasTool,
      finishReason,
      usage
    })
  }
}

const objectOf = (value: unknown): Json => (Predicate.isObject(value) ? value : {})

const textOf = (value: unknown): string => (Predicate.isString(value) ? value : "")
