/**
 * An executor that sends tasks to a model of OpenAI, or of a server with OpenAI's chat completions API.
 *
 * The prompt is the task's description and nothing else. After a failed attempt, the previous attempt's output and the
 * reason it was rejected follow, fenced off as data. The attempt's metadata has `model`, `requestId`, `stopReason` (with the
 * names of `ClaudeExecutor`), `cached` and `billing`.
 *
 * Every request is paid for under the run's budget: the most that it can cost is reserved before it is sent. A budget in USD
 * refuses a model without a price.
 *
 * | the answer ends with | |
 * |---|---|
 * | `stop` | the output, unless it is empty or does not match the schema: `Failed` |
 * | `length` | `Failed`; with `growTo`, the next attempt may write twice as much |
 * | a refusal, `content_filter` | the next of `fallbackModels`; after the last one `Permanent` |
 * | `tool_calls` | `Permanent` |
 * | any other | `Failed` |
 *
 * `OpenAiClient` lists what a failed request means, with two differences: a model that does not exist is `Fatal` here,
 * because no other task could be completed either, and a rate limit that lasts longer than `maxRetryAfter` is `RateLimited`:
 * it pauses the queue.
 *
 * A task's own `model`, `system` and `messages` (`Task.Overrides`) replace those of the options, and its description, in its
 * requests.
 *
 * @since 0.1.0
 */
import { Executor } from "@baton/core/Executor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChatExecutor from "../internal/chat/executor.ts"
import type { OutputSchemaError } from "../internal/chat/ModelError.ts"
import { dialect } from "./internal/dialect.ts"
import { OpenAiClient } from "./OpenAiClient.ts"

/**
 * How tasks are sent to the model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ChatExecutor.CommonOptions {
  readonly model: string
}

/**
 * The default of `maxTokens`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxTokens = ChatExecutor.defaultMaxTokens

/**
 * An executor that sends tasks to a model. Building it fails with a schema that the API does not support.
 *
 * **Example**
 *
 * ```ts
 * import { OpenAiClient, OpenAiExecutor } from "@baton/adapters/openai"
 * import { Layer, Schema } from "effect"
 *
 * const executor = OpenAiExecutor.layer({
 *   model: "llama3.3",
 *   system: "You sort support tickets.",
 *   schema: Schema.Struct({ topic: Schema.Literals(["billing", "bug", "other"]), urgent: Schema.Boolean })
 * }).pipe(Layer.provide(OpenAiClient.layer({ baseUrl: "http://localhost:11434/v1" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Executor, OutputSchemaError, OpenAiClient> =>
  Layer.effect(
    Executor,
    Effect.flatMap(OpenAiClient, (client) => ChatExecutor.make(client, dialect, options))
  )
