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
 * | `refusal` | the next of `fallbackModels`; after the last one `Permanent`, with the category |
 * | `model_context_window_exceeded`, `tool_use` | `Permanent` |
 * | any other | `Failed` |
 *
 * With `webSearch`, `webFetch` or `codeExecution`, the API runs tools while it answers. The output is then the text after their
 * last result, and the attempt's metadata has `webSearches`, `webFetches`, `codeRuns`, and the addresses that are cited as
 * `sources`. A budget reserves the price of all searches and an estimate of the tokens of their results, which the API does not
 * limit: a request can use more than it reserved.
 *
 * `ClaudeClient` lists what a failed request means, with two differences: a model that does not exist is `Fatal` here,
 * because no other task could be completed either, and a rate limit that lasts longer than `maxRetryAfter` is `RateLimited`:
 * it pauses the queue.
 *
 * Instructions that are the same for all tasks (`system`) come first, and are marked for Claude's prompt cache when they are
 * long enough for it. The first request then runs alone until its answer begins, so that the others find them in the cache.
 *
 * A task's own `model`, `system` and `messages` (`Task.Overrides`) replace those of the options, and its description, in its
 * requests. A model that does not
 * exist then fails the task and not the run. The prompt cache is not used for these requests.
 *
 * @since 0.1.0
 */
import { Executor } from "@baton/core/Executor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChatExecutor from "../internal/chat/executor.ts"
import type { ServerTools } from "../internal/chat/serverTools.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import type { OutputSchemaError } from "./ClaudeError.ts"
import { dialect } from "./internal/dialect.ts"

/**
 * How tasks are sent to Claude.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ChatExecutor.CommonOptions, ServerTools {
  /** Default `claude-sonnet-5-5`. */
  readonly model?: string | undefined
  /** When it thinks; not every model supports every value. Default: the model's default. */
  readonly thinking?: "adaptive" | "between_tools" | "disabled" | { readonly budgetTokens: number } | undefined
  /** How long Claude's prompt cache keeps `system`. Default 5 minutes after the last use; an hour costs more to write. */
  readonly cache?: "5m" | "1h" | "off" | undefined
  readonly serviceTier?: "auto" | "standard_only" | undefined
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
export const defaultMaxTokens = ChatExecutor.defaultMaxTokens

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
  Layer.effect(
    Executor,
    Effect.flatMap(ClaudeClient, (client) =>
      ChatExecutor.make(client, dialect, { ...options, model: options.model ?? defaultModel })
    )
  )
