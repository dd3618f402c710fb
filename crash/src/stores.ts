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

/** Shorter than a lease, so that a worker abandons a dead connection before its leases expire. */
const commandTimeout = Duration.seconds(1)

/** Opens the store as a user would. `place` is a file or a URL. */
export const layers: {
  readonly [Name in StoreName]: (place: string) => Layer.Layer<TaskStore.TaskStore, TaskStoreError>
} = {
  sqlite: (filename) => SqliteTaskStore.layer({ filename }),
  postgres: (url) => PostgresTaskStore.layer({ url, statementTimeout: commandTimeout }),
  redis: (url) => RedisTaskStore.layer({ url: Redacted.make(url), commandTimeout, connectTimeout: commandTimeout })
}

/** The test's own server, configured to keep every acknowledged write; undefined for a store without a server. */
export const servers: {
  readonly [Name in StoreName]:
    | { readonly isInstalled: () => boolean; readonly start: () => Promise<Server>; readonly missing: string }
    | undefined
} = {
  sqlite: undefined,
  postgres: {
    isInstalled: PostgresServer.isInstalled,
    start: () => PostgresServer.start({ fsync: "on", full_page_writes: "on" }),
    missing: "initdb was not found: install PostgreSQL."
  },
  redis: {
    isInstalled: RedisServer.isInstalled,
    start: () => RedisServer.start({ appendfsync: "always" }),
    missing: "redis-server was not found: install Redis."
  }
}

/** The same URL with another port. */
export const withPort = (url: string, port: number): string => {
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
