/** A judge that asks a model for a verdict, for any API. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import type { Verification } from "@baton/core/Verification"
import type { VerificationError } from "@baton/core/VerificationError"
import type { VerifierService } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { confirmed } from "../judge/confirm.ts"
import { criteriaOf, judgeInstructions, judgePrompt } from "../judge/prompt.ts"
import { toVerification } from "../judge/verdict.ts"
import * as BudgetedSend from "./budgetedSend.ts"
import type { ClientService } from "./Client.ts"
import type { Dialect } from "./Dialect.ts"
import { defaultMaxRetryAfter } from "./forRun.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"
import { isCacheable } from "./promptCache.ts"
import * as VerdictReply from "./verdictReply.ts"

/** The options that judges have in common. */
export interface CommonOptions {
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
  /** The longest wait for a rate limit within an attempt; a longer one pauses the queue. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

interface Options extends CommonOptions {
  readonly model: string
}

/** The default of `maxTokens`. */
export const defaultMaxTokens = 2048

export const make = Effect.fnUntraced(function* (client: ClientService, dialect: Dialect, options: Options) {
  const prices = yield* Pricing.Prices
  const send = BudgetedSend.make(client, prices, dialect)
  const { model } = options
  const form = VerdictReply.makeForm(dialect)
  const format = options.format ?? "json"
  const confirm = options.confirm ?? 0
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)

  const instructions = judgeInstructions(format, options.criteria)
  const criteria = criteriaOf(options.criteria)
  const fixed = {
    model,
    max_tokens: options.maxTokens ?? defaultMaxTokens,
    // The same for all tasks, so that the API can cache it. A marked text is reserved at a higher price.
    system: [
      {
        type: "text",
        text: instructions,
        ...(dialect.marksCache && isCacheable(instructions, Pricing.cacheMinimum(prices, model))
          ? { cache_control: { type: "ephemeral" } }
          : undefined)
      }
    ],
    ...(format === "json" ? { output_config: { format: form.outputFormat } } : undefined)
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
          context,
          task.queue
        ),
        (error) => (error._tag === "SafetyStop" ? error : VerdictReply.fromError(error, maxRetryAfter))
      )

    let reply = yield* sendOnce(null)
    let verdict = form.read(format, reply)
    // A cached reply without a verdict would be served every time.
    if (Result.isFailure(verdict) && reply.cached) {
      reply = yield* sendOnce(reply.text)
      verdict = form.read(format, reply)
    }
    return Result.isSuccess(verdict)
      ? { ...toVerification(verdict.success, reply.usage), models: [reply.model], ...criteria }
      : yield* VerdictReply.toVerificationError(verdict.failure, reply.usage)
  })

  const verify: VerifierService["verify"] = (task, execution, context) =>
    confirmed(confirm, (opinion) => ask(task, execution, context, opinion))

  return { verify, kind: "effectful" } satisfies VerifierService
})
