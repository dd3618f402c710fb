import { assert, describe, it } from "@effect/vitest"
import { DisconnectsClientError, ErrorReply, SocketClosedUnexpectedlyError } from "@redis/client"
import * as Errors from "../../src/redis/internal/errors.ts"

const context = { server: "Redis at host:6379", prefix: "baton", database: 3 }

const fromReply = (message: string) => Errors.fromCause(context, new ErrorReply(message))

const fromCode = (code: string) => Errors.fromCause(context, Object.assign(new Error(`it failed: ${code}`), { code }))

describe("an error reply of Redis", () => {
  it.each([
    ["LOADING Redis is loading the dataset in memory", /still loading its data: wait/],
    ["BUSY Redis is busy running a script.", /a long script: wait, or end it with SCRIPT KILL/],
    ["READONLY You can't write against a read only replica.", /is a replica.*name the primary/],
    ["MASTERDOWN Link with MASTER is down", /is a replica.*name the primary/],
    ["NOREPLICAS Not enough good replicas to write.", /min-replicas-to-write.*: start them again/],
    ["MISCONF Redis is configured to save RDB snapshots", /cannot save to its disk.*: free some space/],
    ["OOM command not allowed when used memory > 'maxmemory'.", /out of memory: raise its maxmemory/],
    ["CLUSTERDOWN Hash slot not served", /cluster of Redis at host:6379 is being rearranged: wait/],
    ["TRYAGAIN Multiple keys request during rehashing of slot", /being rearranged: wait/],
    ["ASK 3999 10.0.0.7:6381", /being rearranged: wait/],
    ["ERR max number of clients reached", /accepts no more connections: raise its maxclients/]
  ])("%s is unavailable", (reply, sentence) => {
    const error = fromReply(reply)
    assert.strictEqual(error.reason, "Unavailable")
    assert.match(error.message, sentence)
  })

  it.each([
    ["NOAUTH Authentication required.", /requires a password: add it to the URL/],
    ["WRONGPASS invalid username-password pair or user is disabled.", /does not accept this user name and password/],
    ["ERR invalid password", /does not accept this password/],
    ["NOPERM this user has no permissions to run the 'evalsha' command", /denies this user.*'evalsha' command/],
    ["ERR The user executing the script can't access at least one of the keys", /denies this user/],
    ["DENIED Redis is running in protected mode", /protected mode.*: set a password on it/],
    ["BATONSCHEMA 11", /has schema 11, and this version of Baton reads schema 10: update Baton/],
    ["BATONSCHEMA 1", /has schema 1, .* reads schema 10: move its tasks to another store with the version/],
    ["BATONSCHEMA none", /do not belong to Baton: choose another prefix/],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", /do not belong to Baton/],
    ["ERR DB index is out of range", /has no database 3: name another/],
    ["ERR unknown command 'EVALSHA'", /returned an unexpected error \(ERR unknown command 'EVALSHA'\): check/]
  ])("%s is unusable", (reply, sentence) => {
    const error = fromReply(reply)
    assert.strictEqual(error.reason, "Unusable")
    assert.match(error.message, sentence)
  })

  it("is one sentence", () => {
    for (const reply of ["LOADING x", "NOAUTH x", "NOPERM x", "OOM x", "MISCONF x", "WRONGTYPE x"]) {
      assert.match(fromReply(reply).message, /^[A-Z].*\.$/)
      assert.notMatch(fromReply(reply).message, /[.?] [A-Z]/)
    }
  })
})

describe("a network error", () => {
  it.each([
    ["ECONNREFUSED", /^Redis at host:6379 refuses connections: start it, or correct the URL\.$/],
    ["ENOTFOUND", /^The host name of Redis at host:6379 cannot be resolved/],
    ["EHOSTUNREACH", /^Redis at host:6379 cannot be reached/],
    ["ECONNRESET", /^The connection to Redis at host:6379 broke/],
    ["EPIPE", /^The connection to Redis at host:6379 broke/]
  ])("%s is unavailable", (code, sentence) => {
    assert.strictEqual(fromCode(code).reason, "Unavailable")
    assert.match(fromCode(code).message, sentence)
  })

  it.each(["DEPTH_ZERO_SELF_SIGNED_CERT", "CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID", "EPROTO"])(
    "%s is unusable",
    (code) => {
      assert.strictEqual(fromCode(code).reason, "Unusable")
      assert.include(fromCode(code).message, `(${code})`)
    }
  )

  it("that ends a connection is unavailable", () => {
    for (const cause of [new SocketClosedUnexpectedlyError(), new DisconnectsClientError()]) {
      assert.strictEqual(Errors.fromCause(context, cause).reason, "Unavailable")
    }
  })
})

it("a reply that cannot be read is unusable", () => {
  const error = Errors.fromCause(context, new Errors.UnreadableReply({ message: "a reply is not a number" }))
  assert.strictEqual(error.reason, "Unusable")
  assert.match(error.message, /holds a value that Baton cannot read: restore a backup, or delete that task\.$/)
})
