/** What writes summaries and translations. A model in production, plain code here. */
import type { ExecutionError } from "@baton/core"
import { Context, Effect, Layer } from "effect"

export class Writer extends Context.Service<
  Writer,
  {
    readonly summarise: (text: string) => Effect.Effect<string, ExecutionError>
    readonly translate: (text: string, language: string) => Effect.Effect<string, ExecutionError>
  }
>()("examples/Writer") {
  static readonly layerFake = Layer.succeed(Writer, {
    summarise: (text) => Effect.succeed(text.split(". ")[0] ?? text),
    translate: (text, language) => Effect.succeed(`[${language}] ${text}`)
  })
}
