/** An executor that sends each task as one conversation, whatever API the client speaks. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { ExecutionError } from "@baton/core/ExecutionError"
import type { ExecutorService } from "@baton/core/Executor"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { attemptPrompt } from "../prompts/attempt.ts"
import * as BudgetedSend from "./budgetedSend.ts"
import type { ClientService } from "./Client.ts"
import type { Dialect, OutputSchema } from "./Dialect.ts"
import * as ExecutionOf from "./execution.ts"
import { defaultMaxRetryAfter } from "./forRun.ts"
import type { Effort, MessageRequest, Turn } from "./MessageRequest.ts"
import * as Pricing from "./Pricing.ts"
import { isCacheable, makeWarming, type Warming } from "./promptCache.ts"

/** The options that executors have in common. */
export interface CommonOptions {
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
  /** The longest wait for a rate limit; the run ends when the API asks for a longer one. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

interface Options extends CommonOptions {
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

  const requestFor = ({ overrides }: Task): CommonRequest => {
    if (overrides.model === undefined && overrides.system === undefined) return common
    const ownModel = overrides.model ?? model
    const own = { ...options, system: overrides.system ?? options.system }
    return { fixed: fixedPart(own, ownModel, "off", structured), warming: undefined, model: ownModel }
  }

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (
    task: Task,
    context: AttemptContext
  ): Effect.fn.Return<Execution, ExecutionError | SafetyStop> {
    const max_tokens = yield* maxTokensFor(context, maxTokens, options.growTo)
    const { fixed, model, warming } = requestFor(task)
    const messages: Array<Turn> = [{ role: "user", content: attemptPrompt(task.description, context.previous) }]
    let text = ""
    let usage: Usage.Usage | null = null

    for (let turn = 1; ; turn++) {
      const request: MessageRequest = { ...fixed, max_tokens, messages: [...messages] }
      const before: Usage.Usage | null = usage
      const sendTurn = (onStart?: () => void) =>
        send(
          request,
          {
            taskId: idInQueue(task.queue, localId(task)),
            requeues: task.requeues,
            idempotencyKey: turn === 1 ? context.idempotencyKey : `${context.idempotencyKey}/turn-${turn}`,
            purpose: "execute",
            rejected: context.previous?.output ?? null,
            onStart
          },
          context,
          task.queue
        )
      const reply = yield* Effect.mapError(warming === undefined ? sendTurn() : warming(sendTurn), (error) =>
        error._tag === "SafetyStop"
          ? error
          : ExecutionOf.fromError(error, {
              model,
              isOwnModel: task.overrides.model !== undefined,
              usage: Usage.add(before, unlessNothing(error.usage)),
              maxRetryAfter
            })
      )
      usage = Usage.add(usage, reply.usage)
      text += reply.text
      if (reply.stopReason !== "pause_turn" || turn === maxTurns) {
        return yield* ExecutionOf.fromReply({ last: reply, text, usage, maxTokens: max_tokens }, structured, dialect)
      }
      messages.push({ role: "assistant", content: reply.content })
    }
  })

  return { execute }
})

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
  { effort, serviceTier, system, thinking }: Options,
  model: string,
  cache: "5m" | "1h" | "off",
  structured: ExecutionOf.StructuredOutput | undefined
) => ({
  model,
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
  growTo === undefined || previous === null
    ? Effect.succeed(usual)
    : Effect.map(earlierAttempts, (attempts) => {
        const cutOff = ExecutionOf.truncatedAt(attempts)
        return cutOff === undefined ? usual : Math.max(usual, Math.min(2 * cutOff, growTo))
      })

/** A request that was refused used nothing, which is not worth recording. */
const unlessNothing = (usage: Usage.Usage | null): Usage.Usage | null =>
  usage === null || Usage.totalTokens(usage) === 0 ? null : usage
