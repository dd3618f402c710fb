/**
 * An executor that sends tasks to Claude.
 *
 * The prompt is the task's description and nothing else. After a failed attempt, the previous attempt's output and the
 * reason it was rejected follow, fenced off as data; earlier attempts are not repeated. The attempt's metadata has `model`,
 * `requestId`, `stopReason`, `cached` (the reply came from the response cache) and `billing`.
 *
 * Every request is paid for under the run's budget: the most that it can cost is reserved before it is sent.
 *
 * The stop reason of a reply decides the result:
 *
 * | stop reason | |
 * |---|---|
 * | `end_turn`, `stop_sequence` | the output, unless it is empty or does not match the schema: `Failed` |
 * | `max_tokens` | `Failed`; with `growTo`, the next attempt may write twice as much |
 * | `pause_turn` | continued, up to eight turns; each turn is a separate request |
 * | `refusal` | `Permanent`, with the category |
 * | `model_context_window_exceeded`, `tool_use` | `Permanent` |
 * | any other | `Failed` |
 *
 * `ClaudeClient` lists what a failed request means, with two differences: a model that does not exist is `Fatal` here, and
 * so is a rate limit that lasts longer than `maxRetryAfter`, because no other task could be completed either.
 *
 * Instructions that are the same for all tasks (`system`) come first, and are marked for Claude's prompt cache when they are
 * long enough for it. The first request then runs alone until its answer begins, so that the others find them in the cache.
 *
 * A task's own `model` and `system` (`Task.Overrides`) replace those of the options for its requests. A model that does not
 * exist then fails the task and not the run. The prompt cache is not used for these requests.
 *
 * @since 0.1.0
 */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type { SafetyStop } from "@baton/core/SafetyStop"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { attemptPrompt } from "../internal/prompts/attempt.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import { defaultMaxRetryAfter } from "./internal/apiErrors.ts"
import * as BudgetedSend from "./internal/budgetedSend.ts"
import * as ExecutionOf from "./internal/execution.ts"
import { isCacheable, makeWarming, type Warming } from "./internal/promptCache.ts"
import type { Effort, MessageRequest, Turn } from "./MessageRequest.ts"
import type { OutputSchemaError } from "./ClaudeError.ts"
import * as Pricing from "./Pricing.ts"

/**
 * How tasks are sent to Claude.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default `claude-sonnet-5-5`. */
  readonly model?: string | undefined
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
  /** When it thinks; not every model supports every value. Default: the model's default. */
  readonly thinking?: "adaptive" | "between_tools" | "disabled" | { readonly budgetTokens: number } | undefined
  /** The output is JSON that matches this schema, whose root is an object. The API constrains Claude to it, and the answer is validated again. */
  readonly schema?: ExecutionOf.OutputSchema | undefined
  /** How long Claude's prompt cache keeps `system`. Default 5 minutes after the last use; an hour costs more to write. */
  readonly cache?: "5m" | "1h" | "off" | undefined
  readonly serviceTier?: "auto" | "standard_only" | undefined
  /** The longest wait for a rate limit; the run ends when the API asks for a longer one. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * The default model.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultModel = "claude-sonnet-5-5"

/**
 * The default of `maxTokens`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxTokens = 8192

/**
 * An executor that sends tasks to Claude. Building it fails with a schema that the API does not support.
 *
 * **Example**
 *
 * ```ts
 * import { ClaudeClient, ClaudeExecutor } from "@baton/adapters/claude"
 * import { Config, Effect, Layer, Schema } from "effect"
 *
 * const client = Layer.unwrap(Effect.map(Config.Redacted("ANTHROPIC_API_KEY"), (apiKey) => ClaudeClient.layer({ apiKey })))
 *
 * const executor = ClaudeExecutor.layer({
 *   system: "You sort support tickets.",
 *   schema: Schema.Struct({ topic: Schema.Literals(["billing", "bug", "other"]), urgent: Schema.Boolean })
 * }).pipe(Layer.provide(client))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Executor, OutputSchemaError, ClaudeClient> =>
  Layer.effect(Executor, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* ClaudeClient
  const prices = yield* Pricing.Prices
  const send = BudgetedSend.make(client, prices)
  const model = options.model ?? defaultModel
  const structured = options.schema === undefined ? undefined : yield* ExecutionOf.makeStructuredOutput(options.schema)
  const cache = isCacheable(options.system ?? "", Pricing.cacheMinimum(prices, model)) ? (options.cache ?? "5m") : "off"
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
          context
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
        return yield* ExecutionOf.fromReply({ last: reply, text, usage, maxTokens: max_tokens }, structured)
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

/** The most requests that one attempt may take when Claude pauses its turn. */
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
