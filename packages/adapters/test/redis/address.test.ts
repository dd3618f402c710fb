import { assert, describe, it } from "@effect/vitest"
import { ErrorReply } from "@redis/client"
import { Result } from "effect"
import * as Address from "../../src/redis/internal/address.ts"

const parsed = (url: string) => Result.getOrThrow(Address.parse(url))

describe("the URL of a Redis store", () => {
  it("needs only a host", () => {
    assert.deepStrictEqual(parsed("redis://localhost"), {
      host: "localhost",
      port: 6379,
      tls: false,
      database: 0,
      username: undefined,
      password: undefined,
      prefix: undefined
    })
  })

  it("can contain every option", () => {
    assert.deepStrictEqual(parsed("rediss://us%40er:p%2Fw%25@[::1]:7000/3?prefix=night%20run"), {
      host: "::1",
      port: 7000,
      tls: true,
      database: 3,
      username: "us@er",
      password: "p/w%",
      prefix: "night run"
    })
  })

  it.each([
    ["not a url", "is not a URL"],
    ["http://host", "does not start with redis://"],
    ["redis:host:6379", "has no host"],
    ["redis:", "has no host"],
    ["redis://host/name", "has a database that is not a number"],
    ["redis://host/0/1", "has a database that is not a number"],
    ["redis://host?db=1", 'has the unknown parameter "db"'],
    ["redis://:secret%zz@host", "has a % in its user name or password that is not written as %25"]
  ])("%s is refused without quoting its password", (url, problem) => {
    const error = Result.getOrThrow(Result.flip(Address.parse(url)))
    assert.strictEqual(error.reason, "Unusable")
    assert.strictEqual(
      error.message,
      `The URL of the Redis store ${problem}: it has to look like ` +
        "redis://USER:PASSWORD@HOST:6379/0?prefix=NAME, or rediss:// for TLS."
    )
    assert.notInclude(error.message, "secret")
  })

  it("is shown as host and port", () => {
    assert.strictEqual(Address.show(parsed("redis://user:secret@host/2")), "Redis at host:6379")
    assert.strictEqual(Address.show(parsed("redis://[::1]:7000")), "Redis at [::1]:7000")
  })

  it("is replaced by the node of a cluster that has the keys", () => {
    const from = parsed("redis://user:secret@host:6379")
    assert.deepStrictEqual(Address.movedTo(from, new ErrorReply("MOVED 3999 10.0.0.7:6381")), {
      ...from,
      host: "10.0.0.7",
      port: 6381
    })
    assert.deepStrictEqual(Address.movedTo(from, new ErrorReply("MOVED 3999 :6382")), { ...from, port: 6382 })
    assert.deepStrictEqual(Address.movedTo(from, new ErrorReply("MOVED 3999 2001:db8::1:6383")), {
      ...from,
      host: "2001:db8::1",
      port: 6383
    })
    assert.strictEqual(Address.movedTo(from, new ErrorReply("ASK 3999 10.0.0.7:6381")), undefined)
    assert.strictEqual(Address.movedTo(from, new Error("MOVED 3999 10.0.0.7:6381")), undefined)
  })
})
