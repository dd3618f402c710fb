import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { existsSync } from "node:fs"
import { connect } from "node:net"
import * as Postgres from "./postgres.ts"
import * as Redis from "./redis.ts"

const query = (url: string, statement: string) =>
  PgClient.PgClient.use((sql) => sql.unsafe(statement)).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url) }))
  )

/** Sends one command, and returns the first line of the answer. */
const ask = (port: number, command: string) =>
  Effect.callback<string>((resume) => {
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(`${command}\r\n`))
    socket.once("data", (reply) => {
      socket.destroy()
      resume(Effect.succeed(reply.toString().split("\r\n")[0] ?? ""))
    })
    socket.once("error", (error) => resume(Effect.succeed(error.message)))
  })

describe("a private server of a test", () => {
  it.live.skipIf(!Postgres.isInstalled())("keeps its data when PostgreSQL is stopped or crashes", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary({ work_mem: "7MB" })
      assert.deepEqual(yield* query(server.url, "SHOW work_mem"), [{ work_mem: "7MB" }])
      yield* query(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
      for (const end of [server.stop, server.crash]) {
        yield* Effect.promise(end)
        assert.equal((yield* Effect.flip(query(server.url, "SELECT 1"))).reason._tag, "ConnectionError")
        yield* Effect.promise(server.start)
        assert.deepEqual(yield* query(server.url, "SELECT one FROM kept"), [{ one: 1 }])
      }
    })
  )

  it.live.skipIf(!Redis.isInstalled())("keeps its data when Redis is stopped", () =>
    Effect.gen(function* () {
      const server = yield* Redis.temporary({ maxmemory: "50mb" })
      assert.equal(yield* ask(server.port, "SET kept 1"), "+OK")
      yield* Effect.promise(server.stop)
      assert.include(yield* ask(server.port, "PING"), "ECONNREFUSED")
      yield* Effect.promise(server.start)
      assert.equal(yield* ask(server.port, "EXISTS kept"), ":1")
    })
  )

  it.live.skipIf(!Redis.isInstalled())("is deleted with its data when the test ends", () =>
    Effect.gen(function* () {
      const [port, folder] = yield* Effect.scoped(
        Effect.map(Redis.temporary(), (server) => [server.port, server.folder] as const)
      )
      assert.include(yield* ask(port, "PING"), "ECONNREFUSED")
      assert.isFalse(existsSync(folder))
    })
  )
})
