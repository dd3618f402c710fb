import { ClaudeClient, type MessageRequest, ResponseCache, ResponseCacheError } from "@baton/adapters/claude"
import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option } from "effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { cacheKey } from "../../src/internal/chat/cacheKey.ts"
import * as ResponseCacheFile from "../../src/internal/chat/responseCacheFile.ts"
import { folder } from "./folder.ts"
import { about, failure, reply, request, scripted } from "./requests.ts"

type Send = Parameters<typeof scripted>[0]

const newFile = Effect.map(folder, (path) => join(path, "cache.db"))

/** A cache on this file, in front of a client that answers as `send` does. */
const open = Effect.fnUntraced(function* (filename: string, send: Send, server?: string) {
  const { client, sent } = scripted(send)
  const context = yield* Layer.build(
    Layer.fresh(ResponseCache.layer({ filename, server })).pipe(
      Layer.provide(Layer.succeed(ClaudeClient.ClaudeClient, client))
    )
  )
  return { cache: Context.get(context, ClaudeClient.ClaudeClient), sent }
})

const numbered: Send = (_, n) => Effect.succeed(reply(`answer ${n}`))

const inserted = (text: string) => ({ ...reply(text), usage: Usage.zero, cached: true })

describe("a response cache", () => {
  it.effect("answers the same request again without sending it, at no cost", () =>
    Effect.gen(function* () {
      const { cache, sent } = yield* open(yield* newFile, numbered)
      assert.deepStrictEqual(yield* cache.send(request("Say hello"), about()), reply("answer 1"))
      assert.deepStrictEqual(yield* cache.send(request("Say hello"), about()), inserted("answer 1"))
      assert.lengthOf(sent, 1)
    })
  )

  it.effect("keeps answers after the file is closed", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.scoped(Effect.flatMap(open(filename, numbered), ({ cache }) => cache.send(request("a"), about())))
      const { cache, sent } = yield* open(filename, numbered)
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), inserted("answer 1"))
      assert.lengthOf(sent, 0)
    })
  )

  it.effect("never serves the answer of one server as that of another", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const standIn = yield* open(filename, () => Effect.succeed(reply("made up")), "http://127.0.0.1:4000")
      yield* standIn.cache.send(request("a"), about())
      const real = yield* open(filename, numbered)
      assert.deepStrictEqual(yield* real.cache.send(request("a"), about()), reply("answer 1"))
      assert.isTrue((yield* standIn.cache.send(request("a"), about())).cached)
    })
  )

  it.effect("distinguishes requests by their whole content, and not by the order of their fields", () =>
    Effect.gen(function* () {
      const { cache, sent } = yield* open(yield* newFile, numbered)
      const different: ReadonlyArray<MessageRequest.MessageRequest> = [
        request("a"),
        request("b"),
        request("a", { model: "claude-opus-5-5" }),
        request("a", { max_tokens: 1001 }),
        request("a", { system: [{ type: "text", text: "Be brief." }] }),
        request("a", { output_config: { effort: "low" } }),
        request("a", { messages: [{ role: "user", content: [{ type: "text", text: "a" }] }] })
      ]
      for (const each of different) assert.isFalse((yield* cache.send(each, about())).cached)
      assert.lengthOf(sent, different.length)
      const { max_tokens, messages, model } = request("a")
      assert.isTrue((yield* cache.send({ messages, max_tokens, model }, about())).cached)
    })
  )

  it.effect("serves an answer to other tasks, attempts and purposes with the same request", () =>
    Effect.gen(function* () {
      const { cache } = yield* open(yield* newFile, numbered)
      yield* cache.send(request("a"), about())
      const other = about({ idempotencyKey: "other/3/judge", purpose: "judge" })
      assert.isTrue((yield* cache.send(request("a"), other)).cached)
    })
  )

  it.effect("sends the request of a requeued task again, and keeps that answer too", () =>
    Effect.gen(function* () {
      const { cache, sent } = yield* open(yield* newFile, numbered)
      yield* cache.send(request("a"), about())
      assert.strictEqual((yield* cache.send(request("a"), about({ requeues: 1 }))).text, "answer 2")
      assert.strictEqual((yield* cache.send(request("a"), about({ requeues: 1 }))).text, "answer 2")
      assert.strictEqual((yield* cache.send(request("a"), about())).text, "answer 1")
      assert.lengthOf(sent, 2)
    })
  )

  it.effect("never serves the rejected answer, and keeps the new one in its place", () =>
    Effect.gen(function* () {
      const { cache, sent } = yield* open(yield* newFile, numbered)
      yield* cache.send(request("a"), about())
      const again = yield* cache.send(request("a"), about({ rejected: "answer 1" }))
      assert.deepStrictEqual(again, reply("answer 2"))
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), inserted("answer 2"))
      assert.isTrue((yield* cache.send(request("a"), about({ rejected: "something else" }))).cached)
      assert.lengthOf(sent, 2)
    })
  )

  it.effect.each(["max_tokens", "refusal", "pause_turn", "tool_use", "model_context_window_exceeded", "new"])(
    "does not keep an answer that stopped with %s",
    (stopReason) =>
      Effect.gen(function* () {
        const { cache } = yield* open(yield* newFile, (_, n) => Effect.succeed(reply(`answer ${n}`, { stopReason })))
        yield* cache.send(request("a"), about())
        assert.isFalse((yield* cache.send(request("a"), about())).cached)
      })
  )

  it.effect("keeps an answer that ended at a stop sequence, and no empty one", () =>
    Effect.gen(function* () {
      const { cache } = yield* open(yield* newFile, ({ messages }) =>
        Effect.succeed(reply(messages[0]?.content === "empty" ? "" : "text", { stopReason: "stop_sequence" }))
      )
      for (const [content, kept] of [
        ["text", true],
        ["empty", false]
      ] as const) {
        yield* cache.send(request(content), about())
        assert.strictEqual((yield* cache.send(request(content), about())).cached, kept)
      }
    })
  )

  it.effect("does not keep failures", () =>
    Effect.gen(function* () {
      const { cache, sent } = yield* open(yield* newFile, (_, n) =>
        n === 1 ? Effect.fail(failure()) : Effect.succeed(reply("answer"))
      )
      assert.deepStrictEqual(yield* Effect.flip(cache.send(request("a"), about())), failure())
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), reply("answer"))
      assert.lengthOf(sent, 2)
    })
  )

  it.effect("passes on the client's price and its other methods", () =>
    Effect.gen(function* () {
      const client = ClaudeClient.ClaudeClient.of({
        billing: "batch",
        send: () => Effect.die("not asked for"),
        countTokens: () => Effect.succeed(7),
        model: () => Effect.fail(failure())
      })
      const context = yield* Layer.build(
        ResponseCache.layer({ filename: yield* newFile }).pipe(
          Layer.provide(Layer.succeed(ClaudeClient.ClaudeClient, client))
        )
      )
      const cache = Context.get(context, ClaudeClient.ClaudeClient)
      assert.strictEqual(cache.billing, "batch")
      assert.strictEqual(yield* cache.countTokens(request("a")), 7)
      assert.deepStrictEqual(yield* Effect.flip(cache.model("x")), failure())
    })
  )
})

describe("identical requests at the same time", () => {
  /** A client whose answers wait for `go`, and that reports when it gets a request. */
  const held = Effect.fnUntraced(function* (send: Send = numbered) {
    const go = yield* Deferred.make<void>()
    const asked = yield* Deferred.make<void>()
    const opened = yield* open(yield* newFile, (request, n) =>
      Deferred.succeed(asked, undefined).pipe(Effect.andThen(Deferred.await(go)), Effect.andThen(send(request, n)))
    )
    const ask = (more: Parameters<typeof about>[0] = {}) =>
      Effect.forkChild(opened.cache.send(request("a"), about(more)), { startImmediately: true })
    return { ...opened, ask, asked: Deferred.await(asked), go: Deferred.succeed(go, undefined) }
  })

  it.effect("pay once", () =>
    Effect.gen(function* () {
      const { ask, go, sent } = yield* held()
      const fibers = [yield* ask(), yield* ask(), yield* ask()]
      yield* go
      const replies = yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(replies, [reply("answer 1"), inserted("answer 1"), inserted("answer 1")])
      assert.lengthOf(sent, 1)
    })
  )

  it.effect("do not fail together: when the first is interrupted, one of the others is sent", () =>
    Effect.gen(function* () {
      const { ask, asked, go, sent } = yield* held()
      const first = yield* ask()
      yield* asked
      const second = yield* ask()
      const third = yield* ask()
      yield* Fiber.interrupt(first)
      yield* go
      assert.deepStrictEqual(yield* Fiber.join(second), reply("answer 2"))
      assert.deepStrictEqual(yield* Fiber.join(third), inserted("answer 2"))
      assert.lengthOf(sent, 2)
    })
  )

  it.effect("do not block each other: a waiting one can be interrupted", () =>
    Effect.gen(function* () {
      const { ask, asked, go, sent } = yield* held()
      const first = yield* ask()
      yield* asked
      const second = yield* ask()
      yield* Fiber.interrupt(second)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(second)))
      yield* go
      assert.deepStrictEqual(yield* Fiber.join(first), reply("answer 1"))
      assert.lengthOf(sent, 1)
    })
  )

  it.effect("are each sent when the first gets no answer", () =>
    Effect.gen(function* () {
      const { ask, asked, go, sent } = yield* held((_, n) =>
        n === 1 ? Effect.fail(failure()) : Effect.succeed(reply(`answer ${n}`))
      )
      const first = yield* ask()
      yield* asked
      const second = yield* ask()
      yield* go
      assert.isTrue(Exit.isFailure(yield* Fiber.await(first)))
      assert.deepStrictEqual(yield* Fiber.join(second), reply("answer 2"))
      assert.lengthOf(sent, 2)
    })
  )

  it.effect("are each sent when the answer is the one that the other rejected", () =>
    Effect.gen(function* () {
      const { ask, asked, go } = yield* held()
      const first = yield* ask()
      yield* asked
      const second = yield* ask({ rejected: "answer 1" })
      yield* go
      assert.strictEqual((yield* Fiber.join(first)).text, "answer 1")
      assert.deepStrictEqual(yield* Fiber.join(second), reply("answer 2"))
    })
  )
})

describe("the file of a response cache", () => {
  const unsent: Send = () => Effect.die("not asked for")

  const refused = (filename: string) =>
    Effect.gen(function* () {
      const before = readFileSync(filename)
      const error = yield* Effect.flip(Effect.scoped(open(filename, unsent)))
      assert.instanceOf(error, ResponseCacheError)
      assert.deepStrictEqual(readFileSync(filename), before)
      return error.message
    })

  it.effect("is readable for this user alone, including the files that SQLite adds", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "new", "cache.db")
      const { cache } = yield* open(filename, numbered)
      yield* cache.send(request("a"), about())
      for (const path of [filename, `${filename}-wal`]) assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    })
  )

  it.effect("stays unchanged when it is not a response cache", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const noDatabase = `The file ${filename} is not a database: name another file, or move this one away.`
      writeFileSync(filename, "Buy milk")
      assert.strictEqual(yield* refused(filename), noDatabase)
      writeFileSync(filename, "Buy milk\n".repeat(2000))
      assert.strictEqual(yield* refused(filename), noDatabase)
      writeFileSync(filename, "")
      const other = new DatabaseSync(filename)
      other.exec("CREATE TABLE notes (text TEXT)")
      other.close()
      assert.strictEqual(
        yield* refused(filename),
        `The file ${filename} is a database, but not a response cache of Baton: name another file, or move this one away.`
      )
    })
  )

  it.effect("stays unchanged when it is damaged or newer", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { cache } = yield* open(filename, () => Effect.succeed(reply("long ".repeat(20_000))))
          yield* cache.send(request("a"), about())
        })
      )
      const whole = readFileSync(filename)
      writeFileSync(filename, Buffer.concat([whole.subarray(0, 4096), Buffer.alloc(whole.length - 4096, 7)]))
      assert.strictEqual(yield* refused(filename), `The response cache ${filename} is damaged: delete the file.`)
      writeFileSync(filename, whole)
      const newer = new DatabaseSync(filename)
      newer.exec("PRAGMA user_version = 99")
      newer.close()
      assert.strictEqual(
        yield* refused(filename),
        `The response cache ${filename} was written by a newer version of Baton: update Baton.`
      )
    })
  )

  it.effect("cannot be a folder", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const error = yield* Effect.flip(open(path, unsent))
      assert.strictEqual(error.message, `${path} is a folder: name a file for the response cache.`)
    })
  )

  it.effect("replaces rows that cannot be read", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const { cache, sent } = yield* open(filename, numbered)
      yield* cache.send(request("a"), about())
      const other = new DatabaseSync(filename)
      for (const row of ["{", "{}", '"text"', JSON.stringify({ ...reply("a"), usage: { inputTokens: -1 } })]) {
        other.prepare("UPDATE answers SET reply = ?").run(row)
        const before = sent.length
        assert.isFalse((yield* cache.send(request("a"), about())).cached)
        assert.isTrue((yield* cache.send(request("a"), about())).cached)
        assert.lengthOf(sent, before + 1)
      }
      other.close()
    })
  )

  it.effect("keeps its replies when a newer version opens it", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const old = new DatabaseSync(filename)
      old.exec(`
        CREATE TABLE answers (key TEXT NOT NULL UNIQUE, reply TEXT NOT NULL, answered_at INTEGER NOT NULL) STRICT;
        PRAGMA application_id = ${0x42415443};
        PRAGMA user_version = 1;
      `)
      const { usage: _, ...rest } = reply("kept \ud800")
      const tokens = { input: 1, output: 2, cacheRead: 3, cacheWrite5m: 4, cacheWrite1h: 5 }
      old
        .prepare("INSERT INTO answers VALUES (?, ?, 0)")
        .run(cacheKey(request("a"), about(), undefined), JSON.stringify({ ...rest, tokens, unmetered: true }))
      old.close()
      const { cache } = yield* open(filename, unsent)
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), inserted("kept \ud800"))
    })
  )

  it.effect("loses no answer when it fails later", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const { cache, sent } = yield* open(filename, numbered)
      const other = new DatabaseSync(filename)
      other.exec("DROP TABLE answers")
      other.close()
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), reply("answer 1"))
      assert.deepStrictEqual(yield* cache.send(request("a"), about()), reply("answer 2"))
      assert.lengthOf(sent, 2)
    })
  )

  it.effect("keeps text that is not valid Unicode", () =>
    Effect.gen(function* () {
      const { cache } = yield* open(yield* newFile, () => Effect.succeed(reply("\ud800 and \u0000")))
      yield* cache.send(request("\udfff"), about())
      assert.strictEqual((yield* cache.send(request("\udfff"), about())).text, "\ud800 and \u0000")
    })
  )

  it.effect("drops only its oldest answers when the file has grown too large", () =>
    Effect.gen(function* () {
      const limit = 4_000_000
      const filename = yield* newFile
      const file = yield* ResponseCacheFile.open(filename, limit)
      const answer = reply("x".repeat(1000))
      for (let n = 0; n < 3000; n++) yield* file.set(`${n}`, answer)
      assert.isTrue(Option.isNone(yield* file.get("0")))
      assert.isTrue(Option.isSome(yield* file.get("2999")))
      assert.isAbove(yield* file.entries, 500)
      assert.isBelow(yield* file.entries, 1500)
    })
  )

  it.effect("can be inspected and cleared while it is in use", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      assert.deepStrictEqual(yield* ResponseCache.info({ filename }), { entries: 0, bytes: 0 })
      assert.strictEqual(yield* ResponseCache.clear({ filename }), 0)
      assert.isUndefined(statSync(filename, { throwIfNoEntry: false }))
      const { cache } = yield* open(filename, () => Effect.succeed(reply("secret ".repeat(10_000))))
      yield* cache.send(request("a"), about())
      yield* cache.send(request("b"), about())
      const { bytes, entries } = yield* ResponseCache.info({ filename })
      assert.strictEqual(entries, 2)
      assert.isAbove(bytes, 140_000)
      assert.strictEqual(yield* ResponseCache.clear({ filename }), 2)
      assert.isBelow((yield* ResponseCache.info({ filename })).bytes, 100_000)
      assert.isFalse(readFileSync(filename).includes("secret"))
      assert.isFalse((yield* cache.send(request("a"), about())).cached)
      assert.isTrue((yield* cache.send(request("a"), about())).cached)
    })
  )
})
