/** Temporary stores, which are removed after the measurement. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { RedisTaskStore } from "@baton/adapters/redis"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import type { TaskStore } from "@baton/core"
import { type Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import * as RedisServer from "../../packages/adapters/test/servers/redis.ts"

export const inFolder = async <A>(measure: (folder: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
  try {
    return await measure(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Uses a new SQLite file. */
export const withSqlite = <A>(measure: (url: string) => Promise<A>): Promise<A> =>
  inFolder((folder) => measure(`sqlite:${join(folder, "store.db")}`))

/**
 * Starts a Redis server that flushes its append-only file every second. Each measurement has its own server, because a
 * server may still be rewriting the file of an earlier one.
 */
export const withRedis = async <A>(measure: (url: string) => Promise<A>): Promise<A> => {
  const server = await RedisServer.start()
  try {
    return await measure(server.url)
  } finally {
    await server.remove()
  }
}

let databases = 0

/** Creates a database on the server at BATON_BENCH_POSTGRES_URL, or on the local one. */
export const withPostgres = async <A>(measure: (url: string) => Promise<A>): Promise<A> => {
  const server = process.env["BATON_BENCH_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/postgres"
  const database = `baton_bench_${process.pid}_${databases++}`
  const administer = async (sql: string): Promise<void> => {
    const client = new Client({ connectionString: server })
    await client.connect()
    await client.query(sql)
    await client.end()
  }
  const url = new URL(server)
  url.pathname = `/${database}`
  await administer(`CREATE DATABASE ${database}`)
  try {
    return await measure(url.href)
  } finally {
    await administer(`DROP DATABASE ${database} WITH (FORCE)`)
  }
}

/** The layer for a store URL. SQLite runs with `synchronous: NORMAL`. */
export const storeLayer = (url: string): Layer.Layer<TaskStore.TaskStore, unknown> => {
  const filename = url.replace(/^sqlite:/, "")
  if (filename !== url) return SqliteTaskStore.layer({ filename, synchronous: "NORMAL" })
  return url.startsWith("redis:")
    ? RedisTaskStore.layer({ url: Redacted.make(url) })
    : PostgresTaskStore.layer({ url: Redacted.make(url) })
}
