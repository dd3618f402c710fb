/** The handlers add tasks and read results, and the workers do the tasks. Neither depends on the other. */
import type { TaskQueue } from "@baton/core"
import { TaskStore } from "@baton/core"
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api, ArticleExists, ArticleNotFound, NotTranslated } from "./Api.ts"
import { Summaries, Translations } from "./queues.ts"

export const handlers = HttpApiBuilder.group(
  Api,
  "articles",
  Effect.fn(function* (handlers) {
    const store = yield* TaskStore.TaskStore
    const onStore = Effect.provideService(TaskStore.TaskStore, store)
    return handlers.handleAll({
      // A client that repeats a request because the answer was lost adds the article once.
      add: ({ payload: { id, language, text } }) =>
        Effect.gen(function* () {
          yield* Summaries.add([{ id, payload: { text } }])
          const { added } = yield* Translations.add([{ id, payload: { language }, dependsOn: [Summaries.taskId(id)] }])
          return { id, isNew: added.length > 0 }
        }).pipe(
          Effect.catchTag("TasksRefused", ({ message }) => Effect.fail(new ArticleExists({ id, message }))),
          Effect.catchTag(["InvalidPayload", "TaskStoreError"], Effect.die),
          onStore
        ),
      get: ({ params: { id } }) =>
        Effect.gen(function* () {
          const summary = Option.getOrNull(yield* Summaries.result(id))
          const translation = Option.getOrNull(yield* Translations.result(id))
          return { summary: summary?.summary ?? null, translation: translation?.translation ?? null }
        }).pipe(Effect.catchTag("NoResult", withoutResult), Effect.catchTag("TaskStoreError", Effect.die), onStore),
      // Answers as soon as a worker is done, in whatever process it runs.
      translation: ({ params: { id } }) =>
        Translations.await(id).pipe(
          Effect.map(({ translation }) => translation),
          Effect.catchTag("NoResult", withoutResult),
          Effect.catchTag("TaskStoreError", Effect.die),
          onStore
        )
    })
  })
)

const withoutResult = ({ id, message, status }: TaskQueue.NoResult) =>
  Effect.fail(status === "missing" ? new ArticleNotFound({ id, message }) : new NotTranslated({ id, message }))
