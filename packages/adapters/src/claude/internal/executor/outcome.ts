import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import type { Usage } from "@baton/core/Usage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { Reply } from "../../Reply.ts"
import { toRun } from "../meaning.ts"
import type { Structured } from "./structured.ts"

/** What one attempt brought: the last answer, the text of all its turns, and what they used together. */
export interface Answered {
  readonly reply: Reply
  readonly text: string
  readonly usage: Usage | null
  readonly maxTokens: number
}

/** What an answer means to the run, by the reason for which it ended. */
export const outcome = (
  { maxTokens, reply, text, usage }: Answered,
  structured: Structured | undefined
): Effect.Effect<Execution.Execution, ExecutionError> => {
  const { billing, cached, model, refusal, requestId, stopReason } = reply
  const metadata = { model, requestId, stopReason, cached, billing }

  const fail = (reason: ExecutionError["reason"], message: string) =>
    Effect.fail(
      new ExecutionError({
        reason,
        message,
        metadata,
        ...(text === "" ? undefined : { output: text }),
        ...(usage === null ? undefined : { usage })
      })
    )

  switch (stopReason) {
    case "end_turn":
    case "stop_sequence":
      if (text.trim() === "") return fail("Failed", "Claude answered without any text.")
      return structured === undefined
        ? Effect.succeed(Execution.make({ output: text, usage, metadata }))
        : Effect.matchEffect(structured.read(text), {
            onSuccess: (output) => Effect.succeed(Execution.make({ output, usage, metadata })),
            onFailure: (why) => fail("Failed", `Claude's answer does not fit the schema for outputs: ${why}`)
          })
    case "refusal":
      return fail(
        "Permanent",
        `Claude refused to do this${refusal === null ? "" : ` (${refusal.replace(/\.$/, "")})`}.`
      )
    case "max_tokens":
      return fail("Failed", cutOffAt(maxTokens))
    case "model_context_window_exceeded":
      return fail(
        "Permanent",
        `The task and its answer are longer than what ${model} can take in: make the task smaller.`
      )
    case "tool_use":
      return fail("Permanent", "Claude wants to use a tool, and it was given none.")
    case "pause_turn":
      return fail("Failed", "Claude paused its turn again and again, and did not come to an end.")
    default:
      return fail("Failed", `Claude stopped in the middle, for a reason that is not known here (${stopReason}).`)
  }
}

/** It goes into the next attempt's prompt, and tells `truncatedAt` how far the last one got. */
const cutOffAt = (maxTokens: number) =>
  `The answer was cut off at ${maxTokens} tokens, the most that it may have: it has to be shorter, or be allowed more.`

/** The limit at which the last attempt was cut off, if it was. */
export const truncatedAt = (feedback: string): number | undefined => {
  const [, tokens] = /^The answer was cut off at (\d{1,9}) tokens/.exec(feedback) ?? []
  return tokens === undefined ? undefined : Number(tokens)
}

/** What a request that brought no answer means to the run. `usage` is that of the turns before it as well. */
export const unanswered = (
  error: ClaudeError,
  model: string,
  usage: Usage | null,
  maxRetryAfter: Duration.Duration
): ExecutionError => {
  const { message, reason } = toRun(error, maxRetryAfter)
  return new ExecutionError({
    reason,
    message: error.status === 404 ? `${message} The model asked for is ${model}.` : message,
    metadata: {
      model,
      type: error.type,
      ...(error.status === undefined ? undefined : { status: error.status }),
      ...(error.requestId === undefined ? undefined : { requestId: error.requestId })
    },
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === null ? undefined : { usage }),
    cause: error
  })
}
