import { RedisTaskStore } from "@baton/adapters/redis"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Connection from "../../src/redis/internal/connection.ts"
import { of, summary } from "../diagnoses.ts"
import * as Servers from "../servers/redis.ts"
import { add, cannotStart, client, keys, logged, open } from "./redis.ts"

describe("a Redis server that is loading its data", () => {
  it.effect("is not mistaken for one without an append-only file", () =>
    Effect.gen(function* () {
      let message = ""
      const warned = yield* logged(
        Effect.catch(Connection.makeCheck("Redis at HOST:1")("loading:1\r\naof_enabled:0\r\n"), (error) =>
          Effect.sync(() => {
            message = error.message
          })
        )
      )
      assert.strictEqual(message, "Redis at HOST:1 is still loading its data: wait until it is done.")
      assert.deepStrictEqual(warned, [])
    })
  )
})

describe.skipIf(cannotStart)("the diagnosis of a Redis store", () => {
  it.live("finds nothing wrong with a durable server, and creates no store", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ appendfsync: "always" })
      const found = yield* RedisTaskStore.diagnose({ url: server.url })
      assert.deepStrictEqual(summary(found), [
        "server ok",
        "version ok",
        "appendonly ok",
        "appendfsync ok",
        "maxmemory-policy ok",
        "clock ok",
        "store ok"
      ])
      assert.match(of(found, "store").message, /^There is no store "baton" on Redis at .* yet/)
      assert.deepStrictEqual(yield* keys(yield* client(server.url), "baton"), [])
      yield* Effect.scoped(Effect.flatMap(open({ url: server.url }), (store) => add(store, "a")))
      assert.match(of(yield* RedisTaskStore.diagnose({ url: server.url }), "store").message, /exists/)
    })
  )

  it.live("warns of a server that may lose tasks, and suggests settings", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ appendonly: "no" })
      const redis = yield* client(server.url)
      const look = RedisTaskStore.diagnose({ url: server.url })
      const messages = yield* logged(
        Effect.gen(function* () {
          const found = yield* look
          assert.deepStrictEqual(
            [of(found, "appendonly").status, of(found, "appendonly").fix],
            ["warn", "Set its appendonly to yes."]
          )
          assert.strictEqual(of(found, "store").status, "ok")
        })
      )
      assert.deepStrictEqual(messages, [], "the report says it, so the log does not")
      yield* Effect.promise(() => redis.configSet({ appendonly: "yes", appendfsync: "no" }))
      assert.strictEqual(of(yield* look, "appendfsync").status, "warn")
      yield* Effect.promise(() => redis.configSet({ maxmemory: "1000000", "maxmemory-policy": "allkeys-lru" }))
      const found = yield* look
      assert.strictEqual(of(found, "memory").status, "warn")
      assert.deepStrictEqual(
        [of(found, "maxmemory-policy").status, of(found, "maxmemory-policy").fix],
        ["fail", "Set its maxmemory-policy to noeviction."]
      )
    })
  )

  it.live("reports what prevents the use of a store", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const { host } = new URL(server.url)
      const look = (url: string, check: string) =>
        Effect.map(RedisTaskStore.diagnose({ url }), (found) => of(found, check))
      const refused = Effect.fnUntraced(function* (url: string, check: string, expected: RegExp) {
        const { message, status } = yield* look(url, check)
        assert.strictEqual(status, "fail")
        assert.match(message, expected)
        assert.notInclude(message, "secret")
      })
      yield* refused("http://nowhere", "address", /^The URL of the Redis store does not start with redis:\/\/\.$/)
      yield* refused("redis://127.0.0.1:1", "server", /^Redis at 127\.0\.0\.1:1 refuses connections\.$/)
      yield* refused(`redis://:secret@${host}`, "server", /has no password\.$/)
      yield* Effect.promise(() => redis.set("{baton}:tasks", "mine"))
      yield* refused(server.url, "store", /^The keys \{baton\}:\* on .* do not belong to Baton\.$/)
      yield* Effect.promise(() =>
        redis.sendCommand(["ACL", "SETUSER", "poor", "on", ">secret", "~*", "&*", "+@all", "-zadd"])
      )
      yield* refused(`redis://poor:secret@${host}?prefix=other`, "store", /denies this user what the store needs/)
      yield* Effect.promise(() =>
        redis.sendCommand(["ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-info"])
      )
      const shy = yield* RedisTaskStore.diagnose({ url: Redacted.make(`redis://shy:secret@${host}?prefix=other`) })
      assert.deepStrictEqual(summary(shy), ["server ok", "settings warn", "clock ok", "store ok"])
      yield* Effect.promise(() => redis.sendCommand(["REPLICAOF", "127.0.0.1", "1"]))
      yield* refused(server.url, "role", /is a replica, which accepts no writes\.$/)
    })
  )
})
