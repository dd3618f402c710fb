import { ClaudeClient, ResponseCache } from "@baton/adapters/claude"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { bundle } from "../../bundle.ts"
import { folder } from "../../claude/folder.ts"
import { about, request } from "../../claude/requests.ts"
import * as Server from "../../claude/server/server.ts"

const script = await bundle(new URL("../../claude/fixtures/asker.ts", import.meta.url))

const Line = Schema.fromJsonString(Schema.Struct({ prompt: Schema.String, cached: Schema.Boolean }))

interface Job {
  readonly baseUrl: string
  readonly filename: string
  readonly prompts: ReadonlyArray<string>
  readonly concurrency: number
  readonly dieAfter?: number
}

/** Runs a separate process to its end. */
const ask = (job: Job) =>
  Effect.callback<{ readonly signal: string | null; readonly answers: ReadonlyArray<typeof Line.Type> }>((resume) => {
    const child = spawn(process.execPath, [script, JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] })
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
    child.once("close", (_, signal) => {
      const answers = out.split("\n").filter((line) => line !== "")
      resume(Effect.succeed({ signal, answers: answers.map((line) => Schema.decodeUnknownSync(Line)(line)) }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const prompts = (count: number, name = "prompt") => Array.from({ length: count }, (_, index) => `${name} ${index}`)

const Body = Schema.Struct({ messages: Schema.Tuple([Schema.Struct({ content: Schema.String })]) })

/** What the server was asked, in order. */
const asked = (server: Server.ClaudeServer) =>
  server.messages().map(({ body }) => Schema.decodeUnknownSync(Body)(body).messages[0].content)

describe("a response cache on disk", () => {
  it.live("has every answer of a process that is killed as soon as it gets one", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const job = {
        baseUrl: server.url,
        filename: join(yield* folder, "cache.db"),
        prompts: prompts(20),
        concurrency: 1
      }
      for (const dieAfter of [1, 15]) {
        const { signal } = yield* ask({ ...job, dieAfter })
        assert.strictEqual(signal, "SIGKILL")
      }
      const { answers, signal } = yield* ask(job)
      assert.isNull(signal)
      assert.deepStrictEqual(
        answers.map(({ cached }) => cached),
        prompts(20).map((_, index) => index < 15)
      )
      assert.deepStrictEqual(asked(server), prompts(20))
    })
  )

  it.live("repeats only the running requests when a process with many requests is killed", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const job = {
        baseUrl: server.url,
        filename: join(yield* folder, "cache.db"),
        prompts: prompts(80),
        concurrency: 16
      }
      const killed = yield* ask({ ...job, dieAfter: 40 })
      assert.lengthOf(killed.answers, 39)
      const { answers } = yield* ask(job)
      assert.lengthOf(answers, 80)
      const known = new Set(killed.answers.map(({ prompt }) => prompt))
      const counts = Map.groupBy(asked(server), (prompt) => prompt)
      for (const [prompt, requests] of counts) assert.isAtMost(requests.length, known.has(prompt) ? 1 : 2, prompt)
      assert.isBelow(asked(server).length, 80 + job.concurrency)
    })
  )

  it.live("is shared by processes that write at the same time", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const filename = join(yield* folder, "cache.db")
      const job = { baseUrl: server.url, filename, concurrency: 8 }
      yield* Effect.forEach(["a", "b"], (name) => ask({ ...job, prompts: prompts(60, name) }), { concurrency: 2 })
      assert.lengthOf(asked(server), 120)
      assert.strictEqual((yield* ResponseCache.info({ filename })).entries, 120)
      const { answers } = yield* ask({ ...job, prompts: [...prompts(60, "a"), ...prompts(60, "b")] })
      assert.isTrue(answers.every(({ cached }) => cached))
      assert.lengthOf(asked(server), 120)
    })
  )

  it.live("has the answers of another process while both are running", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const filename = join(yield* folder, "cache.db")
      const send = (prompt: string) => ClaudeClient.ClaudeClient.use((client) => client.send(request(prompt), about()))
      yield* Effect.gen(function* () {
        yield* send("mine")
        yield* ask({ baseUrl: server.url, filename, prompts: ["mine", "theirs"], concurrency: 1 })
        assert.isTrue((yield* send("theirs")).cached)
        assert.deepStrictEqual(asked(server), ["mine", "theirs"])
      }).pipe(
        Effect.provide(
          ResponseCache.layer({ filename }).pipe(
            Layer.provide(ClaudeClient.layer({ apiKey: Redacted.make("key"), baseUrl: server.url }))
          )
        )
      )
    })
  )
})
