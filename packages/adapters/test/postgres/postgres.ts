import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { TaskStore } from "@baton/core"
import { Context, Effect, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { inject } from "vitest"

/** Where the shared server is; its tests are skipped where there is none. */
export const sharedUrl = inject("postgresUrl")

export const isMissing = sharedUrl === null

export const url = sharedUrl ?? "postgres://nobody@127.0.0.1:1/nowhere"

/** A connection of the test's own, to look behind the store and to disturb it. */
export const client = (to = url) =>
  Effect.map(
    Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(to), applicationName: "baton-test" }))),
    (context) => Context.get(context, PgClient.PgClient)
  )

/** The name of a schema that is not there yet, and is gone after the test. */
export const schema = Effect.fnUntraced(function* (at = url) {
  const name = `baton_test_${randomUUID().replaceAll("-", "")}`
  const sql = yield* client(at)
  return yield* Effect.acquireRelease(Effect.succeed(name), () =>
    Effect.ignore(sql.unsafe(`DROP SCHEMA IF EXISTS "${name}" CASCADE`), { log: true })
  )
})

/** One more store on the schema, with connections of its own. */
export const open = (options: Omit<PostgresTaskStore.Options, "url"> & { readonly url?: string }) =>
  Effect.map(Layer.build(Layer.fresh(PostgresTaskStore.layer({ url, ...options }))), (context) =>
    Context.get(context, TaskStore.TaskStore)
  )

/** A store with nothing in it, which is gone after the test. */
export const layer = (options?: Omit<PostgresTaskStore.Options, "url">) =>
  Layer.unwrap(Effect.map(schema(), (name) => PostgresTaskStore.layer({ url, ...options, schema: name })))
