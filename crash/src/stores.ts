import type { TaskStore, TaskStoreError } from "@baton/core"
import { RedisTaskStore } from "@baton/adapters/redis"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Duration, Effect, type Layer, Redacted, Schema } from "effect"
import * as RedisServer from "../../packages/adapters/test/servers/redis.ts"
import type { Server } from "../../packages/adapters/test/servers/process.ts"

export const StoreName = Schema.Literals(["sqlite", "redis"])
export type StoreName = typeof StoreName.Type
export const storeNames = StoreName.literals

/** Shorter than a lease, so that a connection on which nothing arrives is given up in time. */
const patience = Duration.seconds(1)

/** The store as a user would open it. `place` is a file or a URL. */
export const layers: {
  readonly [Name in StoreName]: (place: string) => Layer.Layer<TaskStore.TaskStore, TaskStoreError>
} = {
  sqlite: (filename) => SqliteTaskStore.layer({ filename }),
  redis: (url) => RedisTaskStore.layer({ url: Redacted.make(url), commandTimeout: patience, connectTimeout: patience })
}

/** A server of the proof's own; nothing for a store that has none. */
export const servers: {
  readonly [Name in StoreName]:
    | { readonly isInstalled: () => boolean; readonly start: () => Promise<Server>; readonly missing: string }
    | undefined
} = {
  sqlite: undefined,
  redis: {
    isInstalled: RedisServer.isInstalled,
    // What was acknowledged has to survive a crash.
    start: () => RedisServer.start({ appendfsync: "always" }),
    missing: "No redis-server was found: install Redis."
  }
}

/** The same place, reached through another port. */
export const through = (url: string, port: number): string => {
  const changed = new URL(url)
  changed.port = String(port)
  return changed.href
}

export const startServer = (name: StoreName) => {
  const server = servers[name]
  return server === undefined
    ? Effect.succeed(undefined)
    : Effect.acquireRelease(
        Effect.promise(() => server.start()),
        (started) => Effect.promise(() => started.remove())
      )
}
