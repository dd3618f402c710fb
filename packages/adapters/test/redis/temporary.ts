import type { TaskStore, TaskStoreError } from "@baton/core"
import { createClient } from "@redis/client"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { RedisTaskStore } from "@baton/adapters/redis"

export const url = "redis://127.0.0.1:6379"

/** A connection beside the store's, to look at its keys or to disturb it. */
export const client = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      createClient({ url, RESP: 2 })
        .on("error", () => {})
        .connect()
    ),
    (client) => Effect.sync(() => client.destroy())
  )
export type Client = Effect.Success<ReturnType<typeof client>>

/** A prefix for a store of one test, whose keys are deleted when the scope closes. */
export const prefix = (url: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const redis = yield* client(url)
    const name = `test-${randomUUID().slice(0, 13)}`
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => redis.del([...(await redis.keys(`{${name}}:*`)), "none"]))
    )
    return name
  })

export const layerOn = (url: string): Layer.Layer<TaskStore.TaskStore, TaskStoreError> =>
  Layer.unwrap(Effect.map(prefix(url), (prefix) => RedisTaskStore.layer({ url: Redacted.make(url), prefix })))
