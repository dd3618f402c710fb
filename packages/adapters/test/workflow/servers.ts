import * as PgClient from "@effect/sql-pg/PgClient"
import { Effect, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { url } from "../postgres/postgres.ts"

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-workflow-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A new database, which is dropped after the test. The tables of the engine are always in the default schema. */
export const database = Effect.gen(function* () {
  const name = `baton_test_${randomUUID().replaceAll("-", "")}`
  const run = (statement: string) =>
    Effect.scoped(
      Effect.provide(
        Effect.asVoid(PgClient.PgClient.use((sql) => sql.unsafe(statement))),
        PgClient.layer({ url: Redacted.make(url) }),
        { local: true }
      )
    )
  yield* Effect.acquireRelease(run(`CREATE DATABASE "${name}"`), () =>
    Effect.ignore(run(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`), { log: true })
  )
  const target = new URL(url)
  target.pathname = `/${name}`
  return target.href
})
