/** The handlers read and write the store, and the worker does the tasks. Neither depends on the other. */
import { TaskStore } from "@baton/core"
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api, TaskNotFound } from "./Api.ts"

export const handlers = HttpApiBuilder.group(
  Api,
  "tasks",
  Effect.fn(function* (handlers) {
    const store = yield* TaskStore.TaskStore
    return handlers.handleAll({
      // A client that repeats a request because the answer was lost adds the task once.
      add: ({ payload }) =>
        Effect.map(Effect.orDie(store.add([payload])), ({ added }) => ({ id: payload.id, isNew: added.length > 0 })),
      get: ({ params: { id } }) =>
        Effect.flatMap(
          Effect.orDie(store.get(id)),
          Option.match({ onNone: () => Effect.fail(new TaskNotFound({ id })), onSome: Effect.succeed })
        ),
      counts: () => Effect.orDie(store.counts)
    })
  })
)
