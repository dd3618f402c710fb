/** What writes summaries and reports. A model in production, plain code here. */
import type { ExecutionError } from "@baton/core"
import { Context, Effect, Layer } from "effect"

export class Writer extends Context.Service<
  Writer,
  {
    readonly summarise: (text: string) => Effect.Effect<{ readonly summary: string }, ExecutionError>
    readonly report: (
      facts: { readonly date: string; readonly summaries: ReadonlyArray<string> },
      feedback: string | undefined
    ) => Effect.Effect<{ readonly report: string }, ExecutionError>
  }
>()("examples/nightly-report/Writer") {
  static readonly layerFake = Layer.succeed(Writer, {
    summarise: (text) => Effect.succeed({ summary: text.split(". ")[0] ?? text }),
    report: ({ date, summaries }, feedback) =>
      Effect.succeed({
        report: [`# ${date}`, ...(feedback === undefined ? [] : [feedback]), ...summaries].join("\n")
      })
  })
}
