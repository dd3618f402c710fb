/**
 * A verifier that asks Claude whether an output does what its task asks for.
 *
 * The judge answers in a fixed form: its reasoning first, then whether the output passes, its confidence, feedback and
 * issues. By default that form is JSON that the API constrains the model to; with `format: "text"` it is the four lines
 * `PASSED: / CONFIDENCE: / FEEDBACK: / ISSUES:`, for models and gateways without structured output. In both forms the answer
 * is checked again, and an unclear answer is not a verdict.
 *
 * The judge sees task and output between tags that neither of them can contain or predict, with the instruction that the
 * text between them is material and not an instruction. No instruction makes a language model immune to its input: for outputs
 * whose authors gain by passing, combine it with a check that is a program.
 *
 * | what happens | error |
 * |---|---|
 * | rate limit, overload, network | `Transient` |
 * | no answer in time | `TimedOut` |
 * | an answer that is cut off, or is not a verdict | `Failed` |
 * | the judge refuses, or the output is too long for it | `Permanent` |
 * | a missing or wrong key, a spend limit, a model that does not exist | `Fatal` |
 * | a rate limit that lasts longer than `maxRetryAfter` | `RateLimited`: it pauses the queue |
 *
 * None of these rejects the output: it is kept, and only the verification is retried.
 *
 * Several judges are several layers: `Verifier.layerQuorum(2, judge("claude-haiku-5-5"), judge("claude-sonnet-5-5"), ...)`.
 * `Verifier.layerMinConfidence(0.8, ...)` around one rejects outputs that it passes with a lower confidence.
 *
 * @since 0.1.0
 */
import { Verifier } from "@baton/core/Verifier"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Judge from "../internal/chat/judge.ts"
import { ClaudeClient } from "./ClaudeClient.ts"
import { dialect } from "./internal/dialect.ts"

/**
 * How the judge is set up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Judge.CommonOptions {
  /** Default `claude-haiku-5-5`: cheap, and not the executor's model, because models favour their own answers. */
  readonly model?: string | undefined
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
export const defaultMaxTokens = Judge.defaultMaxTokens

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
  Layer.effect(
    Verifier,
    Effect.flatMap(ClaudeClient, (client) =>
      Judge.make(client, dialect, { ...options, model: options.model ?? defaultModel })
    )
  )
