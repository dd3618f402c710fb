/** The workers of the queues. They can be in the process of the workflow, or in others. */
import { ExecutionError, type TaskQueue } from "@baton/core"
import { Effect, FileSystem, Layer } from "effect"
import { HttpClient } from "effect/http"
import { Pages, Publications, Reports, Summaries } from "./queues.ts"
import { Writer } from "./Writer.ts"

const transient = (cause: unknown) => new ExecutionError({ reason: "Transient", message: String(cause), cause })

const fetch = Effect.fnUntraced(
  function* ({ url }: { readonly url: string }) {
    const response = yield* HttpClient.get(url)
    return { text: yield* response.text }
  },
  (effect) => Effect.mapError(effect, transient)
)

// Writing the same file again is harmless, so the task can be repeated after a crash.
const publish = Effect.fnUntraced(
  function* ({ date, report }: { readonly date: string; readonly report: string }) {
    const file = `report-${date}.md`
    yield* FileSystem.FileSystem.use((files) => files.writeFileString(file, report))
    return { file }
  },
  (effect) => Effect.mapError(effect, transient)
)

export const workers = (options?: TaskQueue.WorkerOptions) =>
  Layer.mergeAll(
    Pages.toLayer(fetch, { ...options, concurrency: 8 }),
    Summaries.toLayer(({ text }) => Writer.use((writer) => writer.summarise(text)), { ...options, concurrency: 4 }),
    // The comment of a person who rejects a report is the feedback of the next attempt.
    Reports.toLayer((payload, { previous }) => Writer.use((writer) => writer.report(payload, previous?.feedback)), {
      ...options,
      review: true
    }),
    Publications.toLayer(publish, options)
  )
