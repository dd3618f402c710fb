/** The private servers of the swarm, and the requests and processor time that each has used so far. */
import { createClient } from "@redis/client"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Client } from "pg"
import * as PostgresServer from "../../../packages/adapters/test/servers/postgres.ts"
import {
  findProgram,
  freePort,
  makeFolder,
  serve,
  unprivilegedUser
} from "../../../packages/adapters/test/servers/process.ts"
import * as RedisServer from "../../../packages/adapters/test/servers/redis.ts"

/** What a server has done since its start. */
export interface Usage {
  /** Statements of PostgreSQL; commands that clients sent to Redis. */
  readonly requests: number
  readonly cpuMillis: number
  readonly connections: number
  /** Processor time of the pooler. */
  readonly poolerCpuMillis: number
}

export interface Place {
  /** For workers. */
  readonly url: string
  /** For the benchmark itself, without a pooler. */
  readonly directUrl: string
  readonly usage: Effect.Effect<Usage>
}

const clockTick = 1000 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))

/** The fields of /proc/PID/stat after the name: state, parent, and so on. */
const statOf = (pid: string | number): ReadonlyArray<string> | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
  } catch {
    return undefined
  }
}

const field = (stat: ReadonlyArray<string>, index: number) => Number(stat[index] ?? 0)

/** Processor time of a process, without its children. */
export const cpuOf = (pid: number): number => {
  const stat = statOf(pid)
  return stat === undefined ? 0 : (field(stat, 11) + field(stat, 12)) * clockTick
}

/** Processor time of a process with one thread. It counts nanoseconds, where the other one counts in steps of 10 ms. */
const exactCpuOf = (pid: string | number): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1_000_000
  } catch {
    return 0
  }
}

/** Processor time of a process and its children, also of those that have ended. */
const cpuOfTree = (pid: number): number => {
  const own = statOf(pid)
  if (own === undefined) return 0
  let millis = exactCpuOf(pid) + (field(own, 13) + field(own, 14)) * clockTick
  for (const entry of readdirSync("/proc")) {
    if (/^\d+$/.test(entry) && statOf(entry)?.[1] === String(pid)) millis += exactCpuOf(entry)
  }
  return millis
}

const started = <A extends { readonly remove: () => Promise<void> }>(start: () => Promise<A>) =>
  Effect.acquireRelease(Effect.promise(start), (server) => Effect.promise(() => server.remove()))

/** PostgreSQL as a production server writes: every commit is flushed. */
const postgres = Effect.gen(function* () {
  const server = yield* started(() =>
    PostgresServer.start({
      fsync: "on",
      full_page_writes: "on",
      max_connections: "700",
      shared_buffers: "256MB",
      max_wal_size: "4GB",
      // Counts at once. The statistics of the server itself are up to ten seconds late.
      shared_preload_libraries: "pg_stat_statements"
    })
  )
  const pid = Number(readFileSync(join(server.folder, "data", "postmaster.pid"), "utf8").split("\n")[0])
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: server.url })
      await client.connect()
      await client.query("CREATE EXTENSION pg_stat_statements")
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )
  return { server, pid, client }
})

type Pool = "session" | "transaction"

/** Server connections that the pooler opens at most. */
const poolSize = { session: 600, transaction: 20 }

const pgbouncer = Effect.fnUntraced(function* (mode: Pool, target: string) {
  const command = findProgram("pgbouncer") ?? "/usr/sbin/pgbouncer"
  const to = new URL(target)
  return yield* started(async () => {
    const user = unprivilegedUser("postgres", "nobody")
    const folder = makeFolder("pgbouncer", user)
    const port = await freePort()
    const file = join(folder, "pgbouncer.ini")
    writeFileSync(
      file,
      `[databases]
postgres = host=127.0.0.1 port=${to.port} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
auth_type = any
pool_mode = ${mode}
default_pool_size = ${poolSize[mode]}
max_client_conn = 2000
unix_socket_dir =
pidfile = ${join(folder, "pid")}
ignore_startup_parameters = extra_float_digits
`
    )
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    const server = await serve(
      { command, args: [file], user, folder, ready: /process up/, signals: { stop: "SIGINT", crash: "SIGKILL" } },
      url,
      port
    )
    return { ...server, pid: Number(readFileSync(join(folder, "pid"), "utf8")) }
  })
})

/** PostgreSQL, optionally behind a pooler. */
export const postgresPlace = Effect.fnUntraced(function* (pool?: Pool) {
  const { client, pid, server } = yield* postgres
  const pooler = pool === undefined ? undefined : yield* pgbouncer(pool, server.url)
  const place: Place = {
    url: pooler === undefined ? server.url : `${pooler.url}?listen=false`,
    directUrl: server.url,
    usage: Effect.promise(async () => {
      const { rows } = await client.query<{ readonly requests: number; readonly connections: number }>(
        `SELECT (SELECT sum(calls) FROM pg_stat_statements)::float8 AS requests,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())::int
             AS connections`
      )
      const { connections = 0, requests = 0 } = rows[0] ?? {}
      const poolerCpuMillis = pooler === undefined ? 0 : exactCpuOf(pooler.pid)
      return { requests, connections, cpuMillis: cpuOfTree(pid), poolerCpuMillis }
    })
  }
  return place
})

export const redisPlace = Effect.gen(function* () {
  const server = yield* started(() => RedisServer.start({ maxclients: "2000" }))
  const client = yield* Effect.acquireRelease(
    Effect.promise(() => createClient({ url: server.url }).connect()),
    (client) => Effect.sync(() => client.destroy())
  )
  const place: Place = {
    url: server.url,
    directUrl: server.url,
    usage: Effect.promise(async () => {
      const [commands, cpu, clients] = await Promise.all([
        client.info("commandstats"),
        client.info("cpu"),
        client.info("clients")
      ])
      const sent = commands.matchAll(/cmdstat_(evalsha|eval|ping|subscribe|publish):calls=(\d+)/g)
      const seconds = cpu.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)
      return {
        requests: Array.from(sent, ([, , calls]) => Number(calls)).reduce((sum, calls) => sum + calls, 0),
        cpuMillis: Array.from(seconds, ([, each]) => Number(each) * 1000).reduce((sum, each) => sum + each, 0),
        // Its own connection is one of them.
        connections: Number(/connected_clients:(\d+)/.exec(clients)?.[1] ?? 1) - 1,
        poolerCpuMillis: 0
      }
    })
  }
  return place
})
