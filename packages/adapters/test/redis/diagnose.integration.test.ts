import { RedisTaskStore } from "@baton/adapters/redis"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Server from "../../src/redis/internal/server.ts"
import { of, summary } from "../diagnoses.ts"
import * as Servers from "../servers/redis.ts"
import { add, cannotStart, client, keys, logged, open } from "./redis.ts"

describe("a Redis server that is loading its data", () => {
  it.effect("is not taken for one that keeps no log of its writes", () =>
    Effect.gen(function* () {
      let message = ""
      const warned = yield* logged(
        Effect.catch(Server.makeCheck("Redis at HOST:1")("loading:1\r\naof_enabled:0\r\n"), (error) =>
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
  it.live("finds nothing wrong with a server that keeps what it takes, and makes no store", () =>
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
      assert.match(of(yield* RedisTaskStore.diagnose({ url: server.url }), "store").message, /is there/)
    })
  )

  it.live("warns of a server that may lose tasks, and says how to set it up", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ appendonly: "no" })
      const redis = yield* client(server.url)
      const look = RedisTaskStore.diagnose({ url: server.url })
      const messages = yield* logged(
        Effect.gen(function* () {
          const found = yield* look
          assert.deepStrictEqual(
            [of(found, "appendonly").status, of(found, "appendonly").fix],
            ["warn", "Set appendonly to yes there."]
          )
          assert.strictEqual(of(found, "store").status, "ok")
        })
      )
      assert.deepStrictEqual(messages, [], "once is enough")
      yield* Effect.promise(() => redis.configSet({ appendonly: "yes", appendfsync: "no" }))
      assert.strictEqual(of(yield* look, "appendfsync").status, "warn")
      yield* Effect.promise(() => redis.configSet({ maxmemory: "1000000", "maxmemory-policy": "allkeys-lru" }))
      const found = yield* look
      assert.strictEqual(of(found, "memory").status, "warn")
      assert.deepStrictEqual(
        [of(found, "maxmemory-policy").status, of(found, "maxmemory-policy").fix],
        ["fail", "Set maxmemory-policy to noeviction there."]
      )
    })
  )

  it.live("tells what keeps a store from being used", () =>
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
      yield* refused("redis://127.0.0.1:1", "server", /^Nothing answers as Redis at 127\.0\.0\.1:1\.$/)
      yield* refused(`redis://:secret@${host}`, "server", /asks for no password\.$/)
      yield* Effect.promise(() => redis.set("{baton}:tasks", "mine"))
      yield* refused(server.url, "store", /^The keys \{baton\}:\* on .* are not Baton's\.$/)
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
      yield* refused(server.url, "role", /is a replica, which takes no writes\.$/)
    })
  )
})
