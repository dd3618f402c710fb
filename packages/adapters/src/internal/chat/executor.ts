/** An executor that sends each task as one conversation, for any API. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { ExecutionError } from "@baton/core/ExecutionError"
import type { ExecutorService } from "@baton/core/Executor"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Result from "effect/Result"
import { whileReporting } from "../partialOutput.ts"
import * as BudgetedSend from "./budgetedSend.ts"
import type { ClientService } from "./Client.ts"
import { conversationOf } from "./conversation.ts"
import type { Dialect, OutputSchema } from "./Dialect.ts"
import { isForAnother } from "./fallback.ts"
import * as ExecutionOf from "./execution.ts"
import { defaultMaxRetryAfter } from "./forRun.ts"
import type { Effort, MessageRequest, Turn } from "./MessageRequest.ts"
import type { ModelError } from "./ModelError.ts"
import * as Pricing from "./Pricing.ts"
import { isCacheable, makeWarming, type Warming } from "./promptCache.ts"
import type { Reply } from "./Reply.ts"
import { type ServerTools, toolsFor } from "./serverTools.ts"

/** The options that executors have in common. */
export interface CommonOptions {
  /**
   * The models to ask, in this order, when a model refuses a task or is overloaded. A task goes to the dead-letter queue
   * only when all of them refuse it. Default: none.
   */
  readonly fallbackModels?: ReadonlyArray<string> | undefined
  /**
   * The most tokens that it may write, thinking included. Default 8192. Budgets and rate limits count on all of them, so
   * choose a number near what you expect.
   */
  readonly maxTokens?: number | undefined
  /** The attempt after one that was cut off may write twice as much as that one, up to this limit. Default: no growth. */
  readonly growTo?: number | undefined
  /** Instructions for all tasks. */
  readonly system?: string | undefined
  /** How hard it thinks. Default: the model's default. */
  readonly effort?: Effort | undefined
  /** The output is JSON that matches this schema, whose root is an object. The API constrains the model to it, and the answer is validated again. */
  readonly schema?: OutputSchema | undefined
  /** The longest wait for a rate limit within an attempt; a longer one pauses the queue. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

interface Options extends CommonOptions, ServerTools {
  readonly model: string
  readonly thinking?: "adaptive" | "between_tools" | "disabled" | { readonly budgetTokens: number } | undefined
  /** How long Claude's prompt cache keeps `system`. Default 5 minutes after the last use; an hour costs more to write. */
  readonly cache?: "5m" | "1h" | "off" | undefined
  readonly serviceTier?: "auto" | "standard_only" | undefined
}

/** The default of `maxTokens`. */
export const defaultMaxTokens = 8192

export const make = Effect.fnUntraced(function* (client: ClientService, dialect: Dialect, options: Options) {
  const prices = yield* Pricing.Prices
  const send = BudgetedSend.make(client, prices, dialect)
  const { model } = options
  const structured =
    options.schema === undefined ? undefined : yield* ExecutionOf.makeStructuredOutput(options.schema, dialect)
  const cache =
    dialect.marksCache && isCacheable(options.system ?? "", Pricing.cacheMinimum(prices, model))
      ? (options.cache ?? "5m")
      : "off"
  // The requests of a batch begin at any time, and waiting for the first of them would take hours.
  const warming =
    cache === "off" || client.billing === "batch"
      ? undefined
      : yield* makeWarming(cache === "5m" ? "5 minutes" : "1 hour")
  const maxTokens = options.maxTokens ?? defaultMaxTokens
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)
  const common: CommonRequest = { fixed: fixedPart(options, model, cache, structured), warming, model }

  const fallbacks = options.fallbackModels ?? []

  const requestFor = ({ overrides }: Task, ownModel: string): CommonRequest => {
    if (ownModel === model && overrides.system === undefined) return common
    const own = { ...options, system: overrides.system ?? options.system }
    return { fixed: fixedPart(own, ownModel, "off", structured), warming: undefined, model: ownModel }
  }

  /** One conversation with one model, up to its last turn. `used` is what other models used before it. */
  const converse = Effect.fnUntraced(function* (
    task: Task,
    context: AttemptContext,
    { fixed, warming }: CommonRequest,
    { conversation, keySuffix, max_tokens, onText, used }: Asked
  ): Effect.fn.Return<Conversed, Failed | SafetyStop> {
    const messages: Array<Turn> = [...conversation]
    const replies: Array<Reply> = []
    let text = ""
    let usage: Usage.Usage | undefined = used
    let container: string | undefined

    for (let turn = 1; ; turn++) {
      const request: MessageRequest = {
        ...fixed,
        ...(container === undefined ? undefined : { container }),
        max_tokens,
        messages: [...messages]
      }
      const before: Usage.Usage | undefined = usage
      const key = `${context.idempotencyKey}${keySuffix}`
      const sendTurn = (onStart?: () => void) =>
        send(
          request,
          {
            taskId: idInQueue(task.queue, localId(task)),
            requeues: task.requeues,
            idempotencyKey: turn === 1 ? key : `${key}/turn-${turn}`,
            purpose: "execute",
            rejected: context.previous?.output ?? null,
            onStart,
            onText: (partial) => onText(text + partial)
          },
          context,
          task.queue
        )
      const reply = yield* Effect.mapError(
        warming === undefined ? sendTurn() : warming(sendTurn),
        (error): Failed | SafetyStop =>
          error._tag === "SafetyStop"
            ? error
            : { _tag: "Failed", error, usage: Usage.add(before, unlessNothing(error.usage)) }
      )
      usage = Usage.add(usage, reply.usage)
      // The text before the result of a tool is not a part of the answer.
      text = reply.toolUses === undefined ? text + reply.text : reply.text
      replies.push(reply)
      if (reply.stopReason !== "pause_turn" || turn === maxTurns) return { last: reply, replies, text, usage }
      container = reply.container ?? container
      messages.push({ role: "assistant", content: reply.content })
    }
  })

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (
    task: Task,
    context: AttemptContext
  ): Effect.fn.Return<Execution, ExecutionError | SafetyStop> {
    const max_tokens = yield* maxTokensFor(context, maxTokens, options.growTo)
    const conversation = yield* conversationOf(task, context.previous)
    const first = task.overrides.model ?? model
    const models = [first, ...fallbacks.filter((fallback) => fallback !== first)]
    const passed: Array<string> = []
    let partial = ""
    const onText = (text: string) => {
      partial = text
    }
    // No part of an answer arrives from a batch.
    const reporting = client.billing === "batch" ? identity : whileReporting(context, () => partial)
    let used: Usage.Usage | undefined

    for (const [index, model] of models.entries()) {
      const isLast = index === models.length - 1
      const asked: Asked = { conversation, keySuffix: index === 0 ? "" : `/${model}`, max_tokens, onText, used }
      const result = yield* Effect.result(reporting(converse(task, context, requestFor(task, model), asked)))
      if (Result.isFailure(result)) {
        const failure = result.failure
        if (failure._tag === "SafetyStop") return yield* failure
        if (isLast || !isForAnother(failure.error)) {
          const isOwnModel = index === 0 && task.overrides.model !== undefined
          return yield* ExecutionOf.fromError(failure.error, { model, isOwnModel, usage: failure.usage, maxRetryAfter })
        }
        used = failure.usage
      } else {
        const conversed = result.success
        if (isLast || conversed.last.stopReason !== "refusal") {
          const turns = { ...conversed, maxTokens: max_tokens, passed }
          return yield* ExecutionOf.fromReply(turns, structured, dialect)
        }
        used = conversed.usage
      }
      passed.push(model)
    }
    return yield* Effect.die(new Error("no model to ask"))
  })

  return { execute }
})

/** What a conversation begins with. */
interface Asked {
  readonly conversation: ReadonlyArray<Turn>
  /** Distinguishes the requests to a fallback model from those to the first one. */
  readonly keySuffix: string
  readonly max_tokens: number
  /** Receives the text of all its turns so far. */
  readonly onText: (text: string) => void
  readonly used: Usage.Usage | undefined
}

/** The replies of a conversation, their text together, and their usage. */
interface Conversed {
  readonly last: Reply
  readonly replies: ReadonlyArray<Reply>
  readonly text: string
  readonly usage?: Usage.Usage | undefined
}

interface Failed {
  readonly _tag: "Failed"
  readonly error: ModelError
  readonly usage?: Usage.Usage | undefined
}

/** What the requests of all tasks have in common, or those of one task with its own model or instructions. */
interface CommonRequest {
  readonly fixed: ReturnType<typeof fixedPart>
  readonly warming: Warming | undefined
  readonly model: string
}

/** The most requests that one attempt may take when the model pauses its turn. */
const maxTurns = 8

/** The part that all requests have in common. */
const fixedPart = (
  { effort, serviceTier, system, thinking, ...tools }: Options,
  model: string,
  cache: "5m" | "1h" | "off",
  structured: ExecutionOf.StructuredOutput | undefined
) => ({
  model,
  ...toolsFor(tools),
  ...(system === undefined || system.trim() === ""
    ? undefined
    : {
        system: [
          {
            type: "text" as const,
            text: system,
            ...(cache === "off" ? undefined : { cache_control: { type: "ephemeral" as const, ttl: cache } })
          }
        ]
      }),
  ...(thinking === undefined
    ? undefined
    : {
        thinking:
          typeof thinking === "string" ? { type: thinking } : { type: "enabled", budget_tokens: thinking.budgetTokens }
      }),
  ...(effort === undefined && structured === undefined
    ? undefined
    : {
        output_config: {
          ...(effort === undefined ? undefined : { effort }),
          ...(structured === undefined ? undefined : { format: structured.format })
        }
      }),
  ...(serviceTier === undefined ? undefined : { service_tier: serviceTier })
})

const maxTokensFor = (
  { earlierAttempts, previous }: AttemptContext,
  usual: number,
  growTo: number | undefined
): Effect.Effect<number> =>
  growTo === undefined || previous === undefined
    ? Effect.succeed(usual)
    : Effect.map(earlierAttempts, (attempts) => {
        const cutOff = ExecutionOf.truncatedAt(attempts)
        return cutOff === undefined ? usual : Math.max(usual, Math.min(2 * cutOff, growTo))
      })

/** A request that was refused used nothing, which is not worth recording. */
const unlessNothing = (usage: Usage.Usage | undefined): Usage.Usage | undefined =>
  usage === undefined || Usage.totalTokens(usage) === 0 ? undefined : usage
