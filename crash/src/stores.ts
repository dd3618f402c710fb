import type { TaskStore, TaskStoreError } from "@baton/core"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { RedisTaskStore } from "@baton/adapters/redis"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Duration, Effect, type Layer, Redacted, Schema } from "effect"
import * as PostgresServer from "../../packages/adapters/test/servers/postgres.ts"
import * as RedisServer from "../../packages/adapters/test/servers/redis.ts"
import type { Server } from "../../packages/adapters/test/servers/process.ts"

export const StoreName = Schema.Literals(["sqlite", "postgres", "redis"])
export type StoreName = typeof StoreName.Type
export const storeNames = StoreName.literals

/** Shorter than a lease, so that a connection on which nothing arrives is given up in time. */
const patience = Duration.seconds(1)

/** The store as a user would open it. `place` is a file or a URL. */
export const layers: {
  readonly [Name in StoreName]: (place: string) => Layer.Layer<TaskStore.TaskStore, TaskStoreError>
} = {
  sqlite: (filename) => SqliteTaskStore.layer({ filename }),
  postgres: (url) => PostgresTaskStore.layer({ url, statementTimeout: patience }),
  redis: (url) => RedisTaskStore.layer({ url: Redacted.make(url), commandTimeout: patience, connectTimeout: patience })
}

/** A server of the proof's own, set to keep what it acknowledged through a crash; nothing for a store that has none. */
export const servers: {
  readonly [Name in StoreName]:
    | { readonly isInstalled: () => boolean; readonly start: () => Promise<Server>; readonly missing: string }
    | undefined
} = {
  sqlite: undefined,
  postgres: {
    isInstalled: PostgresServer.isInstalled,
    start: () => PostgresServer.start({ fsync: "on", full_page_writes: "on" }),
    missing: "No initdb was found: install PostgreSQL."
  },
  redis: {
    isInstalled: RedisServer.isInstalled,
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
