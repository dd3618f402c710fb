/**
 * A verifier that asks Claude whether an output does what its task asks for.
 *
 * The judge answers in a fixed form: its reasoning first, then whether the output passes, its confidence, feedback and
 * issues. By default that form is JSON that the API constrains the model to; with `format: "text"` it is the four lines
 * `PASSED: / CONFIDENCE: / FEEDBACK: / ISSUES:`, for models and gateways without structured output. In both forms the answer
 * is checked again, and an unclear answer is not a verdict.
 *
 * The judge sees task and output between tags that neither of them can contain or predict, with the instruction that the
 * text between them is material and not an instruction. Nothing makes a language model immune to what it reads: for outputs
 * whose authors gain by passing, combine it with a check that is a program.
 *
 * | what happens | error |
 * |---|---|
 * | rate limit, overload, network | `Transient` |
 * | no answer in time | `TimedOut` |
 * | an answer that is cut off, or is not a verdict | `Failed` |
 * | the judge refuses, or the output is too long for it | `Permanent` |
 * | a missing or wrong key, a spend limit, a rate limit that lasts longer than `maxRetryAfter`, a model that does not exist | `Fatal` |
 *
 * None of these rejects the output: it is kept, and only the verification is retried.
 *
 * Several judges are several layers: `Verifier.layerQuorum(2, judge("claude-haiku-5-5"), judge("claude-sonnet-5-5"), ...)`.
 * `Verifier.layerMinConfidence(0.8, ...)` around one rejects outputs that it passes with a lower confidence.
 *
 * @since 0.1.0
 */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import type { Verification } from "@baton/core/Verification"
import type { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { confirmed } from "../internal/judge/confirm.ts"
import { judgeInstructions, judgePrompt } from "../internal/judge/prompt.ts"
import { toVerification } from "../internal/judge/verdict.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import { defaultMaxRetryAfter } from "./internal/apiErrors.ts"
import * as BudgetedSend from "./internal/budgetedSend.ts"
import { isCacheable } from "./internal/promptCache.ts"
import * as VerdictReply from "./internal/verdictReply.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"

/**
 * How the judge is set up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default `claude-haiku-5-5`: cheap, and not the executor's model, because models favour their own answers. */
  readonly model?: string | undefined
  /** Criteria in addition to the task: a rubric in plain text. */
  readonly criteria?: string | undefined
  /** The most tokens that the judge may write, its reasoning included. Default 2048. */
  readonly maxTokens?: number | undefined
  /**
   * How many further opinions a rejection needs; the majority of all opinions counts, and an output passes with more than
   * half of them. Use an even number. Default 0: the first rejection counts.
   */
  readonly confirm?: number | undefined
  /** Default `json`. `text` for models and gateways without structured output. */
  readonly format?: "json" | "text" | undefined
  /** The longest wait for a rate limit; the run ends when the API asks for a longer one. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * The default model.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultModel = "claude-haiku-5-5"

/**
 * The default of `maxTokens`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxTokens = 2048

/**
 * A verifier that asks Claude.
 *
 * **Example**
 *
 * ```ts
 * import { ClaudeClient, ClaudeVerifier } from "@baton/adapters/claude"
 * import { Config, Effect, Layer } from "effect"
 *
 * const client = Layer.unwrap(Effect.map(Config.Redacted("ANTHROPIC_API_KEY"), (apiKey) => ClaudeClient.layer({ apiKey })))
 *
 * const verifier = ClaudeVerifier.layer({ criteria: "Prices are in EUR.", confirm: 2 }).pipe(Layer.provide(client))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Verifier, never, ClaudeClient> =>
  Layer.effect(Verifier, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* ClaudeClient
  const prices = yield* Pricing.Prices
  const send = BudgetedSend.make(client, prices)
  const model = options.model ?? defaultModel
  const format = options.format ?? "json"
  const confirm = options.confirm ?? 0
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)

  const instructions = judgeInstructions(format, options.criteria)
  const fixed = {
    model,
    max_tokens: options.maxTokens ?? defaultMaxTokens,
    // The same for all tasks, so that the API can cache it. A marked text is reserved at a higher price.
    system: [
      {
        type: "text",
        text: instructions,
        ...(isCacheable(instructions, Pricing.cacheMinimum(prices, model))
          ? { cache_control: { type: "ephemeral" } }
          : undefined)
      }
    ],
    ...(format === "json" ? { output_config: { format: VerdictReply.outputFormat } } : undefined)
  } satisfies Partial<MessageRequest>

  const ask = Effect.fnUntraced(function* (
    task: Task,
    execution: Execution,
    context: AttemptContext,
    opinion: number
  ): Effect.fn.Return<Verification, VerificationError | SafetyStop> {
    const request: MessageRequest = {
      ...fixed,
      messages: [{ role: "user", content: judgePrompt(task.description, execution.output, opinion) }]
    }
    const sendOnce = (rejected: string | null) =>
      Effect.mapError(
        send(
          request,
          {
            taskId: idInQueue(task.queue, localId(task)),
            requeues: task.requeues,
            idempotencyKey: `${context.idempotencyKey}/judge/${request.model}/${opinion}`,
            purpose: "judge",
            rejected
          },
          context
        ),
        (error) => (error._tag === "SafetyStop" ? error : VerdictReply.fromError(error, maxRetryAfter))
      )

    let reply = yield* sendOnce(null)
    let verdict = VerdictReply.read(format, reply)
    // A cached reply without a verdict would be served every time.
    if (Result.isFailure(verdict) && reply.cached) {
      reply = yield* sendOnce(reply.text)
      verdict = VerdictReply.read(format, reply)
    }
    return Result.isSuccess(verdict)
      ? { ...toVerification(verdict.success, reply.usage), models: [reply.model] }
      : yield* VerdictReply.toVerificationError(verdict.failure, reply.usage)
  })

  const verify: VerifierService["verify"] = (task, execution, context) =>
    confirmed(confirm, (opinion) => ask(task, execution, context, opinion))

  return { verify, kind: "effectful" } satisfies VerifierService
})
