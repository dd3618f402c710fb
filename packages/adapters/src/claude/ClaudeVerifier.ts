/**
 * A verifier that asks Claude whether an output does what its task asks for.
 *
 * The judge answers in a fixed form: its reasoning first, then whether the output passes, how sure it is, feedback and
 * issues. By default that form is JSON which the API holds the model to; with `format: "text"` it is the four lines
 * `PASSED: / CONFIDENCE: / FEEDBACK: / ISSUES:`, for models and gateways without structured output. Either way the answer
 * is checked again here, and one that is not clear is no verdict.
 *
 * Task and output are shown to the judge between tags that neither of them can contain or foresee, and the judge is told
 * that whatever stands between them is material and no instruction. Nothing makes a language model immune to what it
 * reads: for outputs whose authors gain by passing, combine it with a check that is a program.
 *
 * | what happens | error |
 * |---|---|
 * | rate limit, overload, network | `Transient` |
 * | no answer in time | `TimedOut` |
 * | an answer that is cut off, or is no verdict | `Failed` |
 * | the judge refuses, or the output is too long for it | `Permanent` |
 * | no key or a wrong one, a spend limit, a rate limit that lasts longer than `maxRetryAfter`, a model that does not exist | `Fatal` |
 *
 * None of these rejects the output: it is kept, and only judging is tried again.
 *
 * Several judges are several layers: `Verifier.layerQuorum(2, judge("claude-haiku-5-5"), judge("claude-sonnet-5-5"), ...)`.
 * `Verifier.layerMinConfidence(0.8, ...)` around one rejects what it passes with less.
 *
 * @since 0.1.0
 */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { Task } from "@baton/core/Task"
import type { Verification } from "@baton/core/Verification"
import type { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { confirmed } from "../internal/judge/confirm.ts"
import { judgeInstructions, judgePrompt } from "../internal/prompts/judge.ts"
import { toVerification } from "../internal/prompts/verdict.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import { noVerdict, unsent } from "./internal/judge/errors.ts"
import { outputFormat, read } from "./internal/judge/reading.ts"
import { defaultMaxRetryAfter } from "./internal/meaning.ts"
import { paid } from "./internal/paid.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"

/**
 * How Claude judges.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default `claude-haiku-5-5`: cheap, and another model than the executor's, as models are kind to themselves. */
  readonly model?: string | undefined
  /** What counts besides the task itself: a rubric, in your words. */
  readonly criteria?: string | undefined
  /** The most that the judge may write, its reasoning included. Default 2048. */
  readonly maxTokens?: number | undefined
  /**
   * How often a rejection is asked for again; the majority of all opinions counts, and it takes more than half of them to
   * pass. Use an even number. Default 0: a rejection stands.
   */
  readonly confirm?: number | undefined
  /** Default `json`. `text` for models and gateways without structured output. */
  readonly format?: "json" | "text" | undefined
  /** The longest wait for a rate limit that the API may ask for; a longer one ends the run. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * The model that judges where none is named.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultModel = "claude-haiku-5-5"

/**
 * The most that a judge may write where nothing is said, in tokens.
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

/** Shorter texts do not get into the prompt cache: it takes 512 tokens and more. */
const cacheable = 2000

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* ClaudeClient
  const { send, usageOf } = paid(client, yield* Pricing.Prices)
  const format = options.format ?? "json"
  const confirm = options.confirm ?? 0
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)

  const instructions = judgeInstructions(format, options.criteria)
  const fixed = {
    model: options.model ?? defaultModel,
    max_tokens: options.maxTokens ?? defaultMaxTokens,
    // The same for all tasks, so that the API need not read it again. What is marked is set aside at a higher price.
    system: [
      {
        type: "text",
        text: instructions,
        ...(instructions.length < cacheable ? undefined : { cache_control: { type: "ephemeral" } })
      }
    ],
    ...(format === "json" ? { output_config: { format: outputFormat } } : undefined)
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
    const askedOnce = (rejected: string | null) =>
      Effect.mapError(
        send(
          request,
          {
            taskId: task.id,
            requeues: task.requeues,
            idempotencyKey: `${context.idempotencyKey}/judge/${request.model}/${opinion}`,
            purpose: "judge",
            rejected
          },
          context
        ),
        (error) => (error._tag === "SafetyStop" ? error : unsent(error, usageOf(error, request), maxRetryAfter))
      )

    let reply = yield* askedOnce(null)
    let verdict = read(format, reply)
    // What a cache kept of an earlier judge would be no verdict for ever.
    if (Result.isFailure(verdict) && reply.cached) {
      reply = yield* askedOnce(reply.text)
      verdict = read(format, reply)
    }
    const usage = usageOf(reply, request)
    return Result.isSuccess(verdict)
      ? { ...toVerification(verdict.success, usage), models: [reply.model] }
      : yield* noVerdict(verdict.failure, usage)
  })

  const verify: VerifierService["verify"] = (task, execution, context) =>
    confirmed(confirm, (opinion) => ask(task, execution, context, opinion))

  return { verify, kind: "effectful" } satisfies VerifierService
})
