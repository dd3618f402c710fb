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
import type * as Scope from "effect/Scope"
import { attemptPrompt } from "../internal/prompts/attempt.ts"
import type { Costs } from "./Costs.ts"
import * as Calls from "./internal/calls.ts"

/**
 * How tasks are sent to the model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> extends Costs {
  /** The system prompt, for all tasks without their own (`Task.Overrides`). */
  readonly system?: string | undefined
  /** The models that tasks may name (`Task.Overrides`). Each of them has its own costs. */
  readonly models?: Readonly<Record<string, NamedModel<E, R>>> | undefined
}

/**
 * A model for tasks that name it.
 *
 * @category models
 * @since 0.1.0
 */
export interface NamedModel<E = never, R = never> extends Costs {
  readonly model: Layer.Layer<LanguageModel, E, R>
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
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Executor, E, LanguageModel | Exclude<R, Scope.Scope>> => Layer.effect(Executor, make(options))

const make = Effect.fnUntraced(function* <E, R>(options: Options<E, R>) {
  const common = yield* callsOf(options)
  const named = new Map(
    yield* Effect.forEach(Object.entries(options.models ?? {}), ([name, { model, ...costs }]) =>
      Effect.map(callsTo(model, costs), (calls) => [name, calls] as const)
    )
  )

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (task, context) {
    const { overrides } = task
    const calls = overrides.model === undefined ? common : named.get(overrides.model)
    if (calls === undefined) {
      return yield* new ExecutionError({
        reason: "Permanent",
        message:
          `The task asks for the model "${overrides.model}", which this executor does not have. ` +
          (named.size === 0 ? 'Name it in its "models".' : `It has ${Array.from(named.keys()).join(", ")}.`)
      })
    }
    const { model, spend, usageOf, usageOfError } = calls
    const response = yield* Effect.mapError(
      spend(
        { system: overrides.system ?? options.system ?? "", user: attemptPrompt(task.description, context.previous) },
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
      ...(usage === undefined ? undefined : { usage })
    })
  })

  return { execute }
})

/** A model, and calls to it under the budgets. */
const callsOf = (costs: Costs) =>
  Effect.map(Effect.all([LanguageModel, Calls.make(costs)]), ([model, calls]) => ({ model, ...calls }))

const callsTo = <E, R>(model: Layer.Layer<LanguageModel, E, R>, costs: Costs) =>
  Effect.flatMap(Layer.build(model), (context) => Effect.provideContext(callsOf(costs), context))

const empty = { reason: "Failed", message: "The model answered without any text" } as const

const failed = (error: AiError, usage: Usage | undefined) =>
  new ExecutionError({
    reason: Calls.reasonOf(error),
    message: Calls.sentence(error),
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === undefined ? undefined : { usage }),
    cause: error
  })
