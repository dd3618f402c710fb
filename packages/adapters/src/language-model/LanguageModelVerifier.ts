/**
 * A judge on Effect's `LanguageModel` service (`effect/ai`): it asks whichever model you provide as that service.
 *
 * It works as `ClaudeVerifier` does: the judge sees task and output between tags that neither of them can contain or predict,
 * the verdict is an object that is checked against its schema (or, with `format: "text"`, four lines), and an unclear answer
 * is not a verdict. Use another model than the executor's: provide each of the two layers only where it is used.
 *
 * | what happens | error |
 * |---|---|
 * | rate limit, overload, network | `Transient` |
 * | an answer that is cut off, or is not a verdict | `Failed` |
 * | the request or its content is refused | `Permanent` |
 * | a missing or wrong key, a used-up quota, a wrong address | `Fatal` |
 *
 * None of these rejects the output: it is kept, and only the verification is retried.
 *
 * @since 0.1.0
 */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { Task } from "@baton/core/Task"
import type { Usage } from "@baton/core/Usage"
import type { Verification } from "@baton/core/Verification"
import { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import type { AiError } from "effect/ai/AiError"
import { LanguageModel } from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { confirmed } from "../internal/judge/confirm.ts"
import { criteriaOf, judgeInstructions, judgePrompt } from "../internal/judge/prompt.ts"
import { parseText, toVerification, Verdict } from "../internal/judge/verdict.ts"
import type { Costs } from "./Costs.ts"
import * as Calls from "./internal/calls.ts"

/**
 * How the judge is set up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Costs {
  /** Criteria in addition to the task: a rubric in plain text. */
  readonly criteria?: string | undefined
  /**
   * How many further opinions a rejection needs; the majority of all opinions counts, and an output passes with more than
   * half of them. Use an even number. Default 0: the first rejection counts.
   */
  readonly confirm?: number | undefined
  /** Default `json`. `text` for models without structured output. */
  readonly format?: "json" | "text" | undefined
}

/**
 * A verifier that asks a language model.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Verifier, never, LanguageModel> =>
  Layer.effect(Verifier, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const model = yield* LanguageModel
  const { spend, usageOf, usageOfError } = yield* Calls.make(options)
  const format = options.format ?? "json"
  const confirm = options.confirm ?? 0
  const system = judgeInstructions(format, options.criteria)
  const criteria = criteriaOf(options.criteria)

  const ask = Effect.fnUntraced(function* (
    task: Task,
    execution: Execution,
    context: AttemptContext,
    opinion: number
  ): Effect.fn.Return<Verification, VerificationError | SafetyStop> {
    const texts = { system, user: judgePrompt(task.description, execution.output, opinion) }
    const asked =
      format === "json"
        ? Effect.map(
            spend(texts, (prompt) => model.generateObject({ prompt, objectName: "verdict", schema: Verdict }), context),
            (response) => ({ response, verdict: Result.succeed(response.value) })
          )
        : Effect.map(
            spend(texts, (prompt) => model.generateText({ prompt }), context),
            (response) => ({ response, verdict: parseText(response.text) })
          )
    const { response, verdict } = yield* Effect.mapError(asked, (error) =>
      error._tag === "SafetyStop" ? error : failed(error, usageOfError(error))
    )
    const usage = usageOf(response)
    const why = Calls.unfinished(response.finishReason)
    if (why !== undefined)
      return yield* noVerdict(why.reason, `The judge gave no verdict: ${lowerFirst(why.message)}`, usage)
    return Result.isSuccess(verdict)
      ? { ...toVerification(verdict.success, usage), ...criteria }
      : yield* noVerdict("Failed", `The judge gave no clear verdict: ${verdict.failure}`, usage)
  })

  const verify: VerifierService["verify"] = (task, execution, context) =>
    confirmed(confirm, (opinion) => ask(task, execution, context, opinion))

  return { verify, kind: "effectful" } satisfies VerifierService
})

const noVerdict = (reason: "Failed" | "Permanent", sentence: string, usage: Usage | undefined) =>
  new VerificationError({ reason, message: `${sentence}.`, ...(usage === undefined ? undefined : { usage }) })

const failed = (error: AiError, usage: Usage | undefined) =>
  new VerificationError({
    reason: Calls.reasonOf(error),
    message: messageOf(error),
    ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
    ...(usage === undefined ? undefined : { usage }),
    cause: error
  })

// The decoder's message quotes the answer, and with it the output, at any length.
const messageOf = (error: AiError) =>
  error.reason._tag === "StructuredOutputError"
    ? 'The judge\'s answer is not a verdict in JSON: for a model without structured output, use the format "text".'
    : `The judge could not be reached: ${Calls.sentence(error)}`

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)
