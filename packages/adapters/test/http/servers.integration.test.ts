import { RedisTaskStore } from "@baton/adapters/redis"
import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schedule } from "effect"
import * as Postgres from "../postgres/postgres.ts"
import * as Redis from "../redis/redis.ts"
import * as Servers from "../servers/redis.ts"
import { received, until } from "./events.ts"
import * as Server from "./server.ts"

/** A store with separate connections to a shared server, and how to open it again, as another process does. */
const stores = [
  ["PostgreSQL", Postgres.isMissing, Effect.map(Postgres.schema(), (schema) => Postgres.open({ schema }))],
  ["Redis", Redis.isMissing, Effect.map(Redis.prefix(), (prefix) => Redis.open({ prefix }))]
] as const

for (const [name, isMissing, make] of stores) {
  describe.skipIf(isMissing)(`BatonApi on ${name}`, () => {
    it.live("shows and changes what another process works on", () =>
      Effect.gen(function* () {
        const open = yield* make
        const [here, other] = [yield* open, yield* open]
        const program = Effect.gen(function* () {
          const { client } = yield* Server.Served
          const events = yield* received
          yield* Server.add(other, "work", ["work/1", "work/2", "work/3"])
          yield* until(events, "work", ({ pending }) => pending === 3)
          yield* Server.fail(other, "work", { limit: 1, feedback: () => "no price" })
          yield* until(events, "work", ({ failed }) => failed === 1)
          yield* client.requeue({ payload: { queue: "work", cause: "no price" } })
          yield* client.cancel({ payload: { ids: ["work/3"] } })
          yield* Server.complete(other, "work", { limit: 2, output: "done" })
          yield* until(events, "work", ({ cancelled, completed }) => cancelled === 1 && completed === 2)
          const { tasks, total } = yield* client.tasks({ query: { queue: "work", status: "completed" } })
          assert.strictEqual(total, 2)
          assert.deepStrictEqual(tasks.map(({ id }) => id as string).sort(), ["work/1", "work/2"])
        })
        yield* Effect.provide(program, Server.layer({}, Layer.succeed(TaskStore.TaskStore, here)))
      })
    )
  })
}

describe.skipIf(Redis.cannotStart)("BatonApi on a server that goes away and returns", () => {
  it.live("answers 503 meanwhile, and continues its events", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const store = Layer.provide(RedisTaskStore.layer({ url: server.url }), Logger.layer([]))
      const program = Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const events = yield* received
        yield* Server.add(store, "kept", ["kept/1"])
        yield* until(events, "kept", ({ pending }) => pending === 1)
        yield* Effect.promise(server.stop)
        const error = yield* Effect.flip(client.queues())
        assert(error._tag === "StoreUnavailable")
        assert.include(error.message, "Redis at 127.0.0.1")
        yield* Effect.promise(server.start)
        const { queues } = yield* Effect.retry(client.queues(), Schedule.spaced("20 millis"))
        assert.strictEqual(queues[0]?.pending, 1)
        yield* Server.add(store, "kept", ["kept/2"])
        yield* until(events, "kept", ({ pending }) => pending === 2)
      })
      yield* Effect.provide(program, Server.layer({}, store))
    })
  )
})
