/** The workers: one per queue, each with its own settings, in one process or in several. */
import { ExecutionError, type TaskQueue } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { Summaries, Translations } from "./queues.ts"
import { Writer } from "./Writer.ts"

const Summary = Schema.fromJsonString(Schema.Struct({ summary: Schema.String }))

export const workers = (options: TaskQueue.WorkerOptions = {}) =>
  Layer.merge(
    Summaries.toLayer(
      ({ text }) => Writer.use((writer) => Effect.map(writer.summarise(text), (summary) => ({ summary }))),
      { concurrency: 8, ...options }
    ),
    Translations.toLayer(
      Effect.fnUntraced(function* ({ language }, context) {
        const [article] = yield* context.dependencies
        const { summary } = yield* Effect.mapError(
          Schema.decodeUnknownEffect(Summary)(article?.output),
          ({ message }) => new ExecutionError({ reason: "Permanent", message })
        )
        const writer = yield* Writer
        return { translation: yield* writer.translate(summary, language) }
      }),
      { concurrency: 2, ...options }
    )
  )
