/** A judge that asks a model for a verdict, for any API. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
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
import { isForAnother } from "./fallback.ts"
import { defaultMaxRetryAfter } from "./forRun.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { ModelError } from "./ModelError.ts"
import * as Pricing from "./Pricing.ts"
import { isCacheable } from "./promptCache.ts"
import type { Reply } from "./Reply.ts"
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
  /** The models to ask, in this order, when a model refuses to judge an output or is overloaded. */
  readonly fallbackModels?: ReadonlyArray<string> | undefined
  /** Default `json`. `text` for models and gateways without structured output. */
  readonly format?: "json" | "text" | undefined
  /** The longest wait for a rate limit within an attempt; a longer one pauses the queue. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

interface Options extends CommonOptions {
  readonly model: string
}

interface Asked {
  readonly task: Task
  readonly execution: Execution
  readonly context: AttemptContext
  readonly opinion: number
}

interface Answered {
  readonly reply: Reply
  readonly verdict: ReturnType<VerdictReply.VerdictForm["read"]>
}

/** The default of `maxTokens`. */
export const defaultMaxTokens = 2048

export const make = Effect.fnUntraced(function* (client: ClientService, dialect: Dialect, options: Options) {
  const prices = yield* Pricing.Prices
  const send = BudgetedSend.make(client, prices, dialect)
  const models = [options.model, ...(options.fallbackModels ?? []).filter((model) => model !== options.model)]
  const form = VerdictReply.makeForm(dialect)
  const format = options.format ?? "json"
  const confirm = options.confirm ?? 0
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)

  const instructions = judgeInstructions(format, options.criteria)
  const criteria = criteriaOf(options.criteria)
  const fixedFor = (model: string) =>
    ({
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
    }) satisfies Partial<MessageRequest>
  const requests = models.map(fixedFor)

  /** Asks one model for a verdict. */
  const askOne = Effect.fnUntraced(function* (
    fixed: ReturnType<typeof fixedFor>,
    { context, execution, opinion, task }: Asked
  ): Effect.fn.Return<Answered, ModelError | SafetyStop> {
    const request: MessageRequest = {
      ...fixed,
      messages: [{ role: "user", content: judgePrompt(task.description, execution.output, opinion) }]
    }
    const sendOnce = (rejected: string | null) =>
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
      )

    const reply = yield* sendOnce(null)
    const verdict = form.read(format, reply)
    // A cached reply without a verdict would be served every time.
    if (Result.isSuccess(verdict) || !reply.cached) return { reply, verdict }
    const again = yield* sendOnce(reply.text)
    return { reply: again, verdict: form.read(format, again) }
  })

  const ask = Effect.fnUntraced(function* (
    task: Task,
    execution: Execution,
    context: AttemptContext,
    opinion: number
  ): Effect.fn.Return<Verification, VerificationError | SafetyStop> {
    let used: Usage.Usage | undefined
    for (const [index, fixed] of requests.entries()) {
      const isLast = index === requests.length - 1
      const result = yield* Effect.result(askOne(fixed, { task, execution, context, opinion }))
      if (Result.isFailure(result)) {
        const error = result.failure
        if (error._tag === "SafetyStop") return yield* error
        if (isLast || !isForAnother(error)) {
          const usage = Usage.add(used, error.usage)
          return yield* VerdictReply.fromError(error.with({ usage }), maxRetryAfter)
        }
        used = Usage.add(used, error.usage)
        continue
      }
      const { reply, verdict } = result.success
      const usage = Usage.add(used, reply.usage)
      if (Result.isSuccess(verdict)) {
        return { ...toVerification(verdict.success, usage), models: [reply.model], ...criteria }
      }
      if (isLast || reply.stopReason !== "refusal") {
        return yield* VerdictReply.toVerificationError(verdict.failure, usage)
      }
      used = usage
    }
    return yield* Effect.die(new Error("no model to ask"))
  })

  const verify: VerifierService["verify"] = (task, execution, context) =>
    confirmed(confirm, (opinion) => ask(task, execution, context, opinion))

  return { verify, kind: "effectful" } satisfies VerifierService
})
