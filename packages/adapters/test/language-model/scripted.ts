import { Effect, Layer, Stream } from "effect"
import { AiError, LanguageModel, type Response } from "effect/ai"

export interface Options {
  readonly text?: string
  readonly finishReason?: Response.FinishReason
  readonly model?: string
  readonly usage?: Response.FinishPartEncoded["usage"]
}

export type Answer = Options | AiError.AiErrorReason

/** What an answer uses where it does not say. */
export const used: Response.FinishPartEncoded["usage"] = {
  inputTokens: { uncached: 100, total: 130, cacheRead: 20, cacheWrite: 10 },
  outputTokens: { total: 50, text: 50, reasoning: undefined }
}

const parts = ({ finishReason = "stop", model, text = "", usage = used }: Options): Array<Response.PartEncoded> => [
  ...(model === undefined ? [] : [{ type: "response-metadata" as const, id: "r1", modelId: model }]),
  ...(text === "" ? [] : [{ type: "text" as const, text }]),
  { type: "finish", reason: finishReason, usage }
]

/** A provider that gives these answers in turn, and then repeats the last one. `asked` has its requests. */
export const make = (...answers: ReadonlyArray<Answer>) => {
  const asked: Array<LanguageModel.ProviderOptions> = []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: (options) =>
        Effect.suspend(() => {
          asked.push(options)
          const answer = answers[Math.min(asked.length, answers.length) - 1] ?? {}
          return AiError.isAiErrorReason(answer)
            ? Effect.fail(AiError.make({ module: "Scripted", method: "generateText", reason: answer }))
            : Effect.succeed(parts(answer))
        }),
      streamText: () => Stream.empty
    })
  )
  /** The text of the nth prompt, by role. */
  const said = (n: number, role: "system" | "user") =>
    (asked[n]?.prompt.content ?? [])
      .filter((message) => message.role === role)
      .flatMap(({ content }) =>
        typeof content === "string" ? [content] : content.map((part) => (part.type === "text" ? part.text : ""))
      )
      .join("\n")
  return { layer, asked, said }
}
