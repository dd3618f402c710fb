/**
 * An executor that asks Claude.
 *
 * The task's description is the prompt, and nothing is added to it. After a failed attempt, the output of that attempt
 * and why it was not accepted follow, fenced off as data; attempts before that are not repeated. The attempt's metadata
 * has `model`, `requestId`, `stopReason`, `cached` (it came from the response cache) and `billing`.
 *
 * Every request is paid for under the run's budget: before it is sent, the most that it can cost is set aside.
 *
 * How an answer ended decides what it is worth:
 *
 * | stop reason | |
 * |---|---|
 * | `end_turn`, `stop_sequence` | the output, unless it is empty or does not fit the schema: `Failed` |
 * | `max_tokens` | `Failed`; with `growTo`, the next attempt may write twice as much |
 * | `pause_turn` | continued, a few times; each turn is a request of its own |
 * | `refusal` | `Permanent`, with the category |
 * | `model_context_window_exceeded`, `tool_use` | `Permanent` |
 * | any other | `Failed` |
 *
 * What a request that fails means is told at `ClaudeClient`, with a difference: a model that does not exist is `Fatal`
 * here, and so is a rate limit that lasts longer than `maxRetryAfter`, because no other task could be done either.
 *
 * Instructions that are the same for all tasks (`system`) come first, and are marked for Claude's prompt cache when they
 * are long enough for it. The first request then goes alone until its answer begins, so that all the others find them there.
 *
 * @since 0.1.0
 */
import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Execution } from "@baton/core/Execution"
import type { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { Task } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { attemptPrompt } from "../internal/prompts/attempt.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import { outcome, truncatedAt, unanswered } from "./internal/executor/outcome.ts"
import * as Structured from "./internal/executor/structured.ts"
import * as WarmUp from "./internal/executor/warmUp.ts"
import { defaultMaxRetryAfter } from "./internal/meaning.ts"
import { paid } from "./internal/paid.ts"
import type { Effort, MessageRequest, Turn } from "./MessageRequest.ts"
import type { OutputSchemaError } from "./ClaudeError.ts"
import * as Pricing from "./Pricing.ts"

/**
 * How Claude is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default `claude-sonnet-5-5`. */
  readonly model?: string | undefined
  /**
   * The most that it may write, thinking included. Default 8192. Budgets and rate limits count with all of it, so keep it
   * near what you expect.
   */
  readonly maxTokens?: number | undefined
  /** An attempt after one that was cut off may write twice as much as that one, up to this. Default: as much as before. */
  readonly growTo?: number | undefined
  /** Instructions for all tasks. */
  readonly system?: string | undefined
  /** How hard it thinks. Default: the model's own. */
  readonly effort?: Effort | undefined
  /** When it thinks; which of these a model can do is up to the model. Default: the model's own. */
  readonly thinking?: "adaptive" | "between_tools" | "disabled" | { readonly budgetTokens: number } | undefined
  /** The output is JSON of this schema, an object at its root. Claude is held to it, and the answer is checked here again. */
  readonly schema?: Structured.OutputSchema | undefined
  /** How long Claude's prompt cache keeps `system`. Default 5 minutes from the last use; an hour costs more to write. */
  readonly cache?: "5m" | "1h" | "off" | undefined
  readonly serviceTier?: "auto" | "standard_only" | undefined
  /** The longest wait for a rate limit that the API may ask for; a longer one ends the run. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * The model that is asked where none is named.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultModel = "claude-sonnet-5-5"

/**
 * The most that it may write where nothing is said, in tokens.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxTokens = 8192

/**
 * An executor that asks Claude. Fails to build with a schema that the API cannot express.
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
  const { send, usageOf } = paid(client, yield* Pricing.Prices)
  const structured = options.schema === undefined ? undefined : yield* Structured.make(options.schema)
  const cache = isLong(options.system) ? (options.cache ?? "5m") : "off"
  // In a batch all requests begin whenever the API likes, and waiting for one of them would take hours.
  const warmUp =
    cache === "off" || client.billing === "batch"
      ? undefined
      : yield* WarmUp.make(cache === "5m" ? "5 minutes" : "1 hour")
  const model = options.model ?? defaultModel
  const maxTokens = options.maxTokens ?? defaultMaxTokens
  const maxRetryAfter = Duration.fromInputUnsafe(options.maxRetryAfter ?? defaultMaxRetryAfter)
  const fixed = fixedPart(options, model, cache, structured)

  const execute: ExecutorService["execute"] = Effect.fnUntraced(function* (
    task: Task,
    context: AttemptContext
  ): Effect.fn.Return<Execution, ExecutionError | SafetyStop> {
    const max_tokens = maxTokensFor(context, maxTokens, options.growTo)
    const messages: Array<Turn> = [{ role: "user", content: attemptPrompt(task.description, context.previous) }]
    let text = ""
    let usage: Usage.Usage | null = null

    for (let turn = 1; ; turn++) {
      const request: MessageRequest = { ...fixed, max_tokens, messages: [...messages] }
      const before: Usage.Usage | null = usage
      const ask = (onStart?: () => void) =>
        send(
          request,
          {
            taskId: task.id,
            requeues: task.requeues,
            idempotencyKey: turn === 1 ? context.idempotencyKey : `${context.idempotencyKey}/turn-${turn}`,
            purpose: "execute",
            rejected: context.previous?.output ?? null,
            onStart
          },
          context
        )
      const reply = yield* Effect.mapError(warmUp === undefined ? ask() : warmUp(ask), (error) =>
        error._tag === "SafetyStop"
          ? error
          : unanswered(error, model, Usage.add(before, spentBy(usageOf(error, request))), maxRetryAfter)
      )
      usage = Usage.add(usage, usageOf(reply, request))
      text += reply.text
      if (reply.stopReason !== "pause_turn" || turn === mostTurns) {
        return yield* outcome({ reply, text, usage, maxTokens: max_tokens }, structured)
      }
      messages.push({ role: "assistant", content: reply.content })
    }
  })

  return { execute }
})

/** How many requests one attempt may take when Claude pauses its turn. */
const mostTurns = 8

/** What all requests have in common. */
const fixedPart = (
  { effort, serviceTier, system, thinking }: Options,
  model: string,
  cache: "5m" | "1h" | "off",
  structured: Structured.Structured | undefined
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

/** Shorter texts do not get into the prompt cache: it takes 512 tokens and more. */
const isLong = (system: string | undefined): boolean => system !== undefined && system.length >= 1500

const maxTokensFor = ({ previous }: AttemptContext, usual: number, growTo: number | undefined): number => {
  const cutOff = growTo === undefined || previous === null ? undefined : truncatedAt(previous.feedback)
  return growTo === undefined || cutOff === undefined ? usual : Math.max(usual, Math.min(2 * cutOff, growTo))
}

/** A request that was turned away used nothing, which need not be written down. */
const spentBy = (usage: Usage.Usage | null): Usage.Usage | null =>
  usage === null || Usage.totalTokens(usage) === 0 ? null : usage
