/**
 * An executor on Effect's `LanguageModel` service (`effect/ai`): it calls whichever model you provide as that service.
 *
 * The prompt is the task's description. After a failed attempt, its output and the reason it was rejected follow. The usage
 * comes from the model's response, and `price` computes its cost. The attempt's metadata has `finishReason` and, where the
 * provider reports it, `model`.
 *
 * | what happens | error |
 * |---|---|
 * | rate limit, overload, network | `Transient` |
 * | an answer that is empty, cut off, or cannot be read | `Failed` |
 * | the request or its content is refused | `Permanent` |
 * | a missing or wrong key, a used-up quota, a wrong address | `Fatal` |
 *
 * @since 0.1.0
 */
import * as Execution from "@baton/core/Execution"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type { Usage } from "@baton/core/Usage"
import type { AiError } from "effect/ai/AiError"
import { LanguageModel } from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { attemptPrompt } from "../internal/prompts/attempt.ts"
import type { Costs } from "./Costs.ts"
import * as Calls from "./internal/calls.ts"

/**
 * How tasks are sent to the model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Costs {
  /** The system prompt, for all tasks. */
  readonly system?: string | undefined
}

/**
 * An executor that sends tasks to a language model.
 *
 * **Example**
 *
 * ```ts
 * import { Costs, LanguageModelExecutor } from "@baton/adapters/language-model"
 *
 * const executor = LanguageModelExecutor.layer({
 *   system: "Answer in one line.",
 *   price: Costs.perMillion({ input: 0.25, output: 2 }),
 *   maxOutputTokens: 1000
 * }) // .pipe(Layer.provide(OpenAiLanguageModel.model("gpt-5.2", { max_output_tokens: 1000 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Executor, never, LanguageModel> =>
  Layer.effect(Executor, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const model = yield* LanguageModel
  const { spend, usageOf, usageOfError } = yield* Calls.make(options)

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const response = yield* Effect.mapError(
      spend(
        { system: options.system ?? "", user: attemptPrompt(task.description, context.previous) },
        (prompt) => model.generateText({ prompt }),
        context
      ),
      (error) => (error._tag === "SafetyStop" ? error : failed(error, usageOfError(error)))
    )
    const { content, finishReason, text } = response
    const usage = usageOf(response)
    const answeredBy = content.find((part) => part.type === "response-metadata")?.modelId
    const metadata = { finishReason, ...(answeredBy === undefined ? undefined : { model: answeredBy }) }
    const why = Calls.unfinished(finishReason) ?? (text.trim() === "" ? empty : undefined)
    if (why === undefined) return Execution.make({ output: text, usage, metadata })
    return yield* new ExecutionError({
      reason: why.reason,
      message: `${why.message}.`,
      metadata,
      ...(text === "" ? undefined : { output: text }),
      ...(usage === null ? undefined : { usage })
    })
  })

  return { execute }
})

const empty = { reason: "Failed", message: "The model answered without any text" } as const

const failed = (error: AiError, usage: Usage | null) =>
  new ExecutionError({
    reason: Calls.reasonOf(error),
    message: Calls.sentence(error),
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === null ? undefined : { usage }),
    cause: error
  })
