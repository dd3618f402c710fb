/**
 * A verifier that asks a model of OpenAI, or of a server with OpenAI's chat completions API, whether an output does what
 * its task asks for.
 *
 * It works as `ClaudeVerifier` does, with the same instructions, forms of the verdict and errors. Use another model than the
 * executor's, because models favour their own answers.
 *
 * @since 0.1.0
 */
import { Verifier } from "@baton/core/Verifier"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Judge from "../internal/chat/judge.ts"
import { dialect } from "./internal/dialect.ts"
import { OpenAiClient } from "./OpenAiClient.ts"

/**
 * How the judge is set up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Judge.CommonOptions {
  readonly model: string
}

/**
 * The default of `maxTokens`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaultMaxTokens = Judge.defaultMaxTokens

/**
 * A verifier that asks a model.
 *
 * **Example**
 *
 * ```ts
 * import { OpenAiClient, OpenAiVerifier } from "@baton/adapters/openai"
 * import { Layer } from "effect"
 *
 * const verifier = OpenAiVerifier.layer({ model: "qwen3:8b", criteria: "Prices are in EUR." }).pipe(
 *   Layer.provide(OpenAiClient.layer({ baseUrl: "http://localhost:11434/v1" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Verifier, never, OpenAiClient> =>
  Layer.effect(
    Verifier,
    Effect.flatMap(OpenAiClient, (client) => Judge.make(client, dialect, options))
  )
