import { RedisTaskStore } from "@baton/adapters/redis"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { describe } from "vitest"
import * as Servers from "../servers/redis.ts"
import {
  add,
  cannotStart,
  claim,
  type Client,
  client,
  complete,
  isMissing,
  logged,
  open,
  prefix,
  refused,
  url
} from "./redis.ts"

const command = (redis: Client, ...words: ReadonlyArray<string>) => Effect.promise(() => redis.sendCommand(words))

/** The error of a call that may succeed when retried. */
const unavailable = Effect.fnUntraced(function* (call: Effect.Effect<unknown, unknown>) {
  const error = yield* Effect.flip(call)
  assert.propertyVal(error, "reason", "Unavailable")
  assert.instanceOf(error, Error)
  return error.message
})

/** The error of a call that needs a person. */
const unusable = Effect.fnUntraced(function* (call: Effect.Effect<unknown, unknown>) {
  const error = yield* Effect.flip(call)
  assert.propertyVal(error, "reason", "Unusable")
  assert.instanceOf(error, Error)
  return error.message
})

describe.skipIf(cannotStart)("a Redis server that would lose tasks", () => {
  it.live("is refused if it evicts keys when its memory is full", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ "maxmemory-policy": "allkeys-lru" })
      const name = `Redis at 127.0.0.1:${server.port}`
      assert.strictEqual(
        yield* unusable(Effect.scoped(open({ url: server.url }))),
        `${name} evicts keys when its memory is full (maxmemory-policy allkeys-lru), and tasks with them: ` +
          "set its maxmemory-policy to noeviction."
      )
    })
  )

  it.live("is accepted if it evicts only keys that expire, because no key of a store does", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ "maxmemory-policy": "volatile-lru" })
      const store = yield* open({ url: server.url })
      assert.strictEqual((yield* store.counts).pending, 0)
    })
  )

  it.live("causes one warning if it has no append-only file", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ appendonly: "no" })
      const redis = yield* client(server.url)
      const messages = yield* logged(
        Effect.scoped(
          Effect.gen(function* () {
            const store = yield* RedisTaskStore.make({ url: server.url })
            yield* command(redis, "CLIENT", "KILL", "SKIPME", "yes")
            yield* Effect.retry(store.counts, { times: 5 })
          })
        )
      )
      assert.lengthOf(messages, 1)
      assert.match(messages[0] ?? "", /keeps no append-only file: a crash loses .* Set its appendonly to yes\.$/)
    })
  )

  it.live("causes no warning if it has one", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      assert.deepStrictEqual(yield* logged(Effect.scoped(RedisTaskStore.make({ url: server.url }))), [])
    })
  )
})

describe.skipIf(cannotStart)("a Redis server with authentication", () => {
  const password = "sesame/5%"
  const withLogin = (url: string, login: string) => url.replace("redis://", `redis://${login}@`)

  it.live("accepts the password of the URL", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ requirepass: password })
      const url = withLogin(server.url, `:${encodeURIComponent(password)}`)
      const store = yield* open({ url })
      yield* add(store, "a")
      const [context] = [yield* Layer.build(RedisTaskStore.layer({ url: Redacted.make(url) }))]
      assert.ok(context)
    })
  )

  it.live("refuses a missing or wrong password, and no message contains it", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ requirepass: password })
      const name = `Redis at 127.0.0.1:${server.port}`
      assert.strictEqual(
        yield* unusable(Effect.scoped(open({ url: server.url }))),
        `${name} requires a password: add it to the URL, as in redis://:PASSWORD@HOST.`
      )
      const error = yield* refused({ url: withLogin(server.url, "somebody:wrong-secret") })
      assert.strictEqual(error.message, `${name} does not accept this user name and password: correct them in the URL.`)
      assert.notInclude(JSON.stringify(error), "wrong-secret")
      const anonymous = yield* refused({ url: withLogin(server.url, ":wrong-secret") })
      assert.notInclude(JSON.stringify(anonymous), "wrong-secret")
    })
  )

  it.live("refuses a password if it has none", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      assert.match(
        yield* unusable(Effect.scoped(open({ url: withLogin(server.url, ":needless") }))),
        /has no password: remove it from the URL\.$/
      )
    })
  )

  it.live("accepts a user with exactly the rights that the message names", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      yield* command(redis, "ACL", "SETUSER", "baton", "on", ">secret")
      const url = withLogin(server.url, "baton:secret")
      const message = yield* unusable(Effect.scoped(open({ url, prefix: "mine" })))
      assert.include(message, `Redis at 127.0.0.1:${server.port} denies this user what the store needs`)
      const rights = /"(.*)"/.exec(message)?.[1]?.split(" ") ?? []
      yield* command(redis, "ACL", "SETUSER", "baton", ...rights)
      const store = yield* open({ url, prefix: "mine" })
      yield* add(store, "a")
      const [a] = yield* claim(store)
      assert.ok(a)
      yield* store.settle([complete(a)])
      yield* store.request("stop")
      assert.strictEqual(yield* store.prune({ statuses: ["completed"] }), 1)
      assert.match(yield* unusable(Effect.scoped(open({ url, prefix: "theirs" }))), /denies this user/)
    })
  )

  it.live("is refused before anything is written if it denies a command", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      yield* command(redis, "ACL", "SETUSER", "baton", "on", ">secret", "~*", "&*", "+@all", "-zrem")
      const message = yield* unusable(Effect.scoped(open({ url: withLogin(server.url, "baton:secret") })))
      assert.include(message, "it may not do ZREM")
    })
  )

  it.live("may deny the commands that read its settings", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      yield* command(redis, "ACL", "SETUSER", "baton", "on", ">secret", "~*", "&*", "+@all", "-info")
      const store = yield* open({ url: withLogin(server.url, "baton:secret") })
      yield* add(store, "a")
      assert.lengthOf(yield* claim(store), 1)
    })
  )
})

describe.skipIf(cannotStart)("a Redis server that cannot write", () => {
  it.live("causes an error if its memory is full, and nothing of the call is written", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store = yield* open({ url: server.url })
      yield* add(store, "a")
      const [a] = yield* claim(store)
      assert.ok(a)
      yield* command(redis, "CONFIG", "SET", "maxmemory", "1mb")
      const full = /is out of memory: raise its maxmemory, or prune tasks that have ended\.$/
      assert.match(yield* unavailable(add(store, "b")), full)
      const settle = store.settle([complete(a)])
      assert.match(yield* unavailable(settle), full)
      assert.match(
        yield* unavailable(store.sweep({ maxAttempts: 1, onCrash: "retry" }).pipe(Effect.andThen(add(store, "b")))),
        full
      )
      yield* command(redis, "CONFIG", "SET", "maxmemory", "0")
      const { completed, in_progress, pending } = yield* store.counts
      assert.deepStrictEqual({ completed, in_progress, pending }, { completed: 0, in_progress: 1, pending: 0 })
      assert.deepStrictEqual((yield* settle).lost, [])
    })
  )

  it.live("still lets completed tasks be pruned when its memory is full", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store = yield* open({ url: server.url })
      yield* add(store, "a")
      const [a] = yield* claim(store)
      assert.ok(a)
      yield* store.settle([complete(a)])
      yield* command(redis, "CONFIG", "SET", "maxmemory", "1mb")
      assert.strictEqual(yield* store.prune({ statuses: ["completed"] }), 1)
    })
  )

  it.live("causes an error if it has too few replicas", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ "min-replicas-to-write": "1" })
      const store = yield* open({ url: server.url })
      assert.match(yield* unavailable(add(store, "a")), /has too few replicas to write/)
    })
  )

  it.live("causes an error if it is a replica, at the start and when it becomes one", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store = yield* open({ url: server.url })
      yield* command(redis, "REPLICAOF", "127.0.0.1", "1")
      const readOnly = /is a replica, which accepts no writes: name the primary in the URL\.$/
      assert.match(yield* unavailable(add(store, "a")), readOnly)
      assert.match(yield* unavailable(add(store, "a")), readOnly)
      assert.match(yield* unavailable(Effect.scoped(open({ url: server.url }))), readOnly)
      yield* command(redis, "REPLICAOF", "NO", "ONE")
      assert.lengthOf((yield* add(store, "a")).added, 1)
    })
  )

  it.live("causes an error while another client's script does not end", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ "lua-time-limit": "100" })
      const store = yield* open({ url: server.url })
      const other = yield* client(server.url)
      const endless = other.sendCommand(["EVAL", "while true do end", "0"]).catch(() => {})
      const message = yield* Effect.flip(Effect.forever(store.counts))
      assert.strictEqual(message.reason, "Unavailable")
      assert.match(message.message, /is busy with a long script/)
      const redis = yield* client(server.url)
      yield* command(redis, "SCRIPT", "KILL")
      yield* Effect.promise(() => endless)
      assert.strictEqual((yield* store.counts).pending, 0)
    })
  )

  it.live("causes an error if it has no connection left", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary({ maxclients: "1" })
      yield* client(server.url)
      assert.match(
        yield* unavailable(Effect.scoped(open({ url: server.url }))),
        /(accepts no more connections: raise its maxclients|closes new connections at once)/
      )
    })
  )
})

describe.skipIf(isMissing)("existing data in Redis", () => {
  it.live("is not changed if it is of a newer version", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      yield* add(store, "a")
      yield* Effect.promise(() => redis.hSet(`{${name}}:meta`, "schema", "11"))
      const newer = /has schema 11, and this version of Baton reads schema 10: update Baton\.$/
      assert.match(yield* unusable(Effect.scoped(open({ prefix: name }))), newer)
      assert.match(yield* unusable(claim(store)), newer)
      yield* Effect.promise(() => redis.hSet(`{${name}}:meta`, "schema", "10"))
      assert.lengthOf(yield* claim(store), 1)
    })
  )

  it.live("is not changed if it is not Baton's", () =>
    Effect.gen(function* () {
      const foreign = /do not belong to Baton: choose another prefix, as in redis:\/\/HOST\?prefix=NAME\.$/
      const redis = yield* client()
      for (const occupy of [
        (name: string) => redis.set(`{${name}}:meta`, "mine"),
        (name: string) => redis.hSet(`{${name}}:meta`, "colour", "blue"),
        (name: string) => redis.hSet(`{${name}}:tasks`, "a", "mine"),
        (name: string) => redis.set(`{${name}}:ready`, "mine")
      ]) {
        const name = yield* prefix()
        yield* Effect.promise(async () => occupy(name))
        assert.match(yield* unusable(Effect.scoped(open({ prefix: name }))), foreign)
      }
    })
  )

  it.live("has to exist with mustExist", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      assert.match(
        yield* unusable(Effect.scoped(open({ prefix: name, mustExist: true }))),
        new RegExp(`^Redis at .* has no store "${name}"`)
      )
      yield* add(yield* open({ prefix: name }), "a")
      assert.strictEqual((yield* (yield* open({ prefix: name, mustExist: true })).counts).pending, 1)
    })
  )

  it.live("can be several stores, each under its prefix, in the URL or as an option", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      yield* add(yield* open({ prefix: name }), "a")
      assert.strictEqual((yield* (yield* open({ url: `${url}/0?prefix=${name}` })).counts).pending, 1)
      assert.strictEqual((yield* (yield* open({ prefix: yield* prefix() })).counts).pending, 0)
      assert.match(
        yield* unusable(Effect.scoped(open({ prefix: "a}b" }))),
        /must have 1 to 200 characters and no braces/
      )
    })
  )

  it.live("is named in the error of a list if a value cannot be read", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      yield* add(store, "a")
      yield* Effect.promise(() => redis.hSet(`{${name}}:inputs`, "a", "garbage\n\nDo a."))
      assert.match(
        yield* unusable(store.list()),
        new RegExp(
          `^The store "${name}" on Redis at .* holds a value that Baton cannot read.*: restore a backup, or delete that task\\.$`
        )
      )
    })
  )
})
