import { assert, describe, it } from "@effect/vitest"
import { DisconnectsClientError, ErrorReply, SocketClosedUnexpectedlyError } from "@redis/client"
import { Effect, Schema } from "effect"
import * as Errors from "../../src/redis/internal/errors.ts"

const context = { server: "Redis at host:6379", prefix: "baton", database: 3 }

const fromReply = (message: string) => Errors.fromCause(context, new ErrorReply(message))

const fromCode = (code: string) => Errors.fromCause(context, Object.assign(new Error(`it failed: ${code}`), { code }))

describe("what Redis refuses a command with", () => {
  it.each([
    ["LOADING Redis is loading the dataset in memory", /still loading its data: wait/],
    ["BUSY Redis is busy running a script.", /long script: wait, or end it with SCRIPT KILL/],
    ["READONLY You can't write against a read only replica.", /is a replica.*name the primary/],
    ["MASTERDOWN Link with MASTER is down", /is a replica.*name the primary/],
    ["NOREPLICAS Not enough good replicas to write.", /min-replicas-to-write.*: bring them back/],
    ["MISCONF Redis is configured to save RDB snapshots", /cannot save to its disk.*: free some space/],
    ["OOM command not allowed when used memory > 'maxmemory'.", /out of memory: raise its maxmemory/],
    ["CLUSTERDOWN Hash slot not served", /cluster of Redis at host:6379 is being rearranged: wait/],
    ["TRYAGAIN Multiple keys request during rehashing of slot", /being rearranged: wait/],
    ["ASK 3999 10.0.0.7:6381", /being rearranged: wait/],
    ["ERR max number of clients reached", /no connection left: raise its maxclients/]
  ])("%s is worth another try later", (reply, sentence) => {
    const error = fromReply(reply)
    assert.strictEqual(error.reason, "Unavailable")
    assert.match(error.message, sentence)
  })

  it.each([
    ["NOAUTH Authentication required.", /asks for a password: put it into the URL/],
    ["WRONGPASS invalid username-password pair or user is disabled.", /does not accept this user name and password/],
    ["ERR invalid password", /does not accept this password/],
    ["NOPERM this user has no permissions to run the 'evalsha' command", /denies this user.*'evalsha' command/],
    ["ERR The user executing the script can't access at least one of the keys", /denies this user/],
    ["DENIED Redis is running in protected mode", /protected mode.*: set a password there/],
    ["BATONSCHEMA 7", /newer version of Baton \(schema 7, this one knows 1\): update Baton/],
    ["BATONSCHEMA 0", /are not Baton's: name another prefix/],
    ["BATONSCHEMA none", /are not Baton's: name another prefix/],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", /are not Baton's/],
    ["ERR DB index is out of range", /has no database 3: name another/],
    ["ERR unknown command 'EVALSHA'", /does not work as expected \(ERR unknown command 'EVALSHA'\)/]
  ])("%s is for a person to look at", (reply, sentence) => {
    const error = fromReply(reply)
    assert.strictEqual(error.reason, "Unusable")
    assert.match(error.message, sentence)
  })

  it("is one sentence each", () => {
    for (const reply of ["LOADING x", "NOAUTH x", "NOPERM x", "OOM x", "MISCONF x", "WRONGTYPE x"]) {
      assert.match(fromReply(reply).message, /^[A-Z].*\.$/)
      assert.notMatch(fromReply(reply).message, /[.?] [A-Z]/)
    }
  })
})

describe("what a network fails with", () => {
  it.each([
    ["ECONNREFUSED", /^Nothing answers as Redis at host:6379: start it, or correct the URL\.$/],
    ["ENOTFOUND", /^The host of Redis at host:6379 is not known here/],
    ["EHOSTUNREACH", /^There is no way to Redis at host:6379/],
    ["ECONNRESET", /^The connection to Redis at host:6379 broke/],
    ["EPIPE", /^The connection to Redis at host:6379 broke/]
  ])("%s is worth another try later", (code, sentence) => {
    assert.strictEqual(fromCode(code).reason, "Unavailable")
    assert.match(fromCode(code).message, sentence)
  })

  it.each(["DEPTH_ZERO_SELF_SIGNED_CERT", "CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID", "EPROTO"])(
    "%s is for a person to look at",
    (code) => {
      assert.strictEqual(fromCode(code).reason, "Unusable")
      assert.include(fromCode(code).message, `(${code})`)
    }
  )

  it("a connection that ends is worth another try later", () => {
    for (const cause of [new SocketClosedUnexpectedlyError(), new DisconnectsClientError()]) {
      assert.strictEqual(Errors.fromCause(context, cause).reason, "Unavailable")
    }
  })
})

it.effect("a value that cannot be read is for a person to look at", () =>
  Effect.gen(function* () {
    const cause = yield* Effect.flip(Schema.decodeUnknownEffect(Schema.Int)("x"))
    const error = Errors.fromCause(context, cause)
    assert.strictEqual(error.reason, "Unusable")
    assert.match(error.message, /holds a value that cannot be read: restore it from a backup\.$/)
  })
)
