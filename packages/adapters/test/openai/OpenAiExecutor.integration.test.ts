import { OpenAiVerifier, ResponseCache } from "@baton/adapters/openai"
import { Safety } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { writeFileSync } from "node:fs"
import { folder } from "../claude/folder.ts"
import { error, make, reply } from "./server.ts"
import { layer, runList } from "./setup.ts"

const tasks = (count: number) => Array.from({ length: count }, (_, index) => ({ description: `Say ${index}` }))

describe("the OpenAI executor", () => {
  it.live("uses a task's own model and system prompt", () =>
    Effect.gen(function* () {
      const server = yield* make()
      const { tasks } = yield* runList({
        client: layer(server.url),
        executor: { system: "Be brief." },
        tasks: [{ description: "One" }, { description: "Two", overrides: { model: "local", system: "Be long." } }]
      })
      assert.deepStrictEqual(
        tasks.map(({ status }) => status),
        ["completed", "completed"]
      )
      const sent = server.seen.map(({ body: { messages, model } }) => ({ model, messages }))
      assert.deepInclude(sent, {
        model: "local",
        messages: [
          { role: "system", content: "Be long." },
          { role: "user", content: "Two" }
        ]
      })
    })
  )

  it.live("validates structured output, and gives the next attempt the error", () =>
    Effect.gen(function* () {
      const server = yield* make()
      server.script((_, n) => reply(n === 1 ? '{"topic":"weather"}' : '{"topic":"bug"}'))
      const { tasks } = yield* runList({
        client: layer(server.url),
        executor: { schema: Schema.Struct({ topic: Schema.Literals(["bug", "other"]) }) },
        tasks: [{ description: "Sort this" }],
        config: { maxAttempts: 2 }
      })
      assert.deepInclude(tasks[0], { status: "completed", result: '{"topic":"bug"}' })
      assert.match(JSON.stringify(server.seen[1]?.body["messages"]), /does not match the output schema/)
    })
  )

  it.live("stops at a budget that several workers share, by what the server bills", () =>
    Effect.gen(function* () {
      const server = yield* make()
      // A thousandth of a dollar each: 100 tokens at 10 dollars for a million.
      server.script(() => reply("Said.", { usage: { prompt_tokens: 0, completion_tokens: 100 } }))
      const { reason, stats } = yield* runList({
        client: layer(server.url),
        executor: { maxTokens: 100 },
        tasks: tasks(100),
        config: { concurrency: 16 },
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      const billed = server.seen.length * 0.001
      assert.isAtMost(billed, 0.05 + 1e-9)
      assert.closeTo(stats.usage?.costUsd ?? 0, billed, 1e-9)
      assert.notStrictEqual(reason._tag, "Completed")
    })
  )

  it.live("books the reservation for an answer that the server did not count", () =>
    Effect.gen(function* () {
      const server = yield* make()
      server.script(() => reply("Said.", { usage: null }))
      yield* runList({
        client: layer(server.url),
        executor: { maxTokens: 1000 },
        tasks: tasks(100),
        config: { concurrency: 8 },
        safety: Safety.layerBudget({ maxCostUsd: 0.05 })
      })
      // Each can have cost a hundredth of a dollar for its output alone.
      assert.isAtMost(server.seen.length, 5)
      assert.isAtLeast(server.seen.length, 1)
    })
  )

  it.live("sends nothing under a budget for a model without a price", () =>
    Effect.gen(function* () {
      const server = yield* make()
      const { reason } = yield* runList({
        client: layer(server.url),
        executor: { model: "unknown" },
        tasks: tasks(3),
        safety: Safety.layerBudget({ maxCostUsd: 1 })
      })
      assert.lengthOf(server.seen, 0)
      assert.notStrictEqual(reason._tag, "Completed")
    })
  )

  it.live("does the list for nothing on a model that is free", () =>
    Effect.gen(function* () {
      const server = yield* make()
      const { stats, tasks: done } = yield* runList({
        client: layer(server.url, { apiKey: undefined }),
        executor: { model: "local" },
        tasks: tasks(20),
        config: { concurrency: 8 },
        safety: Safety.layerBudget({ maxCostUsd: 0.000001 })
      })
      assert.isTrue(done.every(({ status }) => status === "completed"))
      assert.deepInclude(stats.usage, { inputTokens: 2000, outputTokens: 1000, costUsd: 0 })
    })
  )

  it.live("ends the run at once without credit", () =>
    Effect.gen(function* () {
      const server = yield* make()
      server.script(() => error(429, { code: "insufficient_quota", message: "You exceeded your current quota" }))
      const failed = yield* Effect.flip(runList({ client: layer(server.url), tasks: tasks(3) }))
      assert.match(String(failed.message), /no credit left/)
      assert.lengthOf(server.seen, 1)
    })
  )
})

describe("a task with its own messages", () => {
  it.live("sends them with their files, and the feedback after the last text", () =>
    Effect.gen(function* () {
      const server = yield* make()
      server.script((_, n) => reply(n === 1 ? "{}" : '{"topic":"bug"}'))
      const path = `${yield* folder}/photo.png`
      writeFileSync(path, "pixels")
      const { tasks } = yield* runList({
        client: layer(server.url),
        executor: { schema: Schema.Struct({ topic: Schema.String }) },
        config: { maxAttempts: 2 },
        tasks: [
          {
            description: "a photo",
            overrides: {
              messages: [
                { role: "user", content: "Hello" },
                { role: "assistant", content: "Hi." },
                {
                  role: "user",
                  content: [
                    { type: "image", path },
                    { type: "text", text: "What is it?" }
                  ]
                }
              ]
            }
          }
        ]
      })
      assert.strictEqual(tasks[0]?.status, "completed")
      const image = { type: "image_url", image_url: { url: `data:image/png;base64,${btoa("pixels")}` } }
      assert.deepStrictEqual(server.seen[0]?.body["messages"], [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hi." },
        { role: "user", content: [image, { type: "text", text: "What is it?" }] }
      ])
      assert.match(JSON.stringify(server.seen[1]?.body["messages"]), /What is it\?.*does not match the output schema/)
    })
  )

  it.live("fails without a request when a file is gone", () =>
    Effect.gen(function* () {
      const server = yield* make()
      const { tasks } = yield* runList({
        client: layer(server.url),
        tasks: [
          {
            description: "a photo",
            overrides: { messages: [{ role: "user", content: [{ type: "image", path: "/nowhere/a.png" }] }] }
          }
        ]
      })
      assert.deepInclude(tasks[0], {
        status: "failed",
        feedback: "The file /nowhere/a.png of the task's messages cannot be read (ENOENT)."
      })
      assert.lengthOf(server.seen, 0)
    })
  )
})

describe("fallback models", () => {
  const run = (script: Parameters<Effect.Success<ReturnType<typeof make>>["script"]>[0]) =>
    Effect.gen(function* () {
      const server = yield* make()
      server.script(script)
      const { stats, tasks } = yield* runList({
        client: layer(server.url),
        executor: { fallbackModels: ["gpt-x", "local", "third"] },
        tasks: [{ description: "Hello" }]
      })
      const [task] = tasks
      return { asked: server.seen.map(({ body: { model } }) => model), stats, task }
    })

  it.live("answer what another model refused, and all of them are paid for", () =>
    Effect.gen(function* () {
      const { asked, stats, task } = yield* run(({ model }) =>
        model === "gpt-x" ? reply("", { refusal: "No." }) : reply("Yes.")
      )
      assert.deepInclude(task, { status: "completed", result: "Yes." })
      assert.deepStrictEqual(asked, ["gpt-x", "local"])
      assert.deepInclude(stats.usage, { inputTokens: 200, outputTokens: 100 })
      assert.closeTo(stats.usage?.costUsd ?? NaN, (100 * 2 + 50 * 10) / 1e6, 1e-9)
    })
  )

  it.live("answer for a model that is overloaded", () =>
    Effect.gen(function* () {
      const { asked, task } = yield* run(({ model }) => (model === "gpt-x" ? error(503) : reply("Yes.")))
      assert.deepInclude(task, { status: "completed", result: "Yes." })
      assert.deepStrictEqual(asked, ["gpt-x", "local"])
    })
  )

  it.live("are not asked about a bad request", () =>
    Effect.gen(function* () {
      const { asked, task } = yield* run(() => error(400, { message: "No." }))
      assert.strictEqual(task?.status, "failed")
      assert.deepStrictEqual(asked, ["gpt-x"])
    })
  )

  it.live("leave the task to the dead-letter queue when all of them refuse", () =>
    Effect.gen(function* () {
      const { asked, task } = yield* run(() => reply("", { finishReason: "content_filter" }))
      assert.strictEqual(task?.status, "failed")
      assert.match(task?.feedback ?? "", /refused/)
      assert.deepStrictEqual(asked, ["gpt-x", "local", "third"])
    })
  )
})

describe("the response cache of OpenAI-compatible servers", () => {
  it.live("has the replies of an earlier run, by server", () =>
    Effect.gen(function* () {
      const [server, other] = [yield* make(), yield* make()]
      const filename = `${yield* folder}/cache.db`
      const run = ({ url }: { readonly url: string }) =>
        runList({
          client: Layer.provide(Layer.orDie(ResponseCache.layer({ filename, server: url })), layer(url)),
          tasks: tasks(3)
        })
      yield* run(server)
      const { stats } = yield* run(server)
      assert.lengthOf(server.seen, 3)
      assert.strictEqual(stats.usage?.costUsd, 0)
      yield* run(other)
      assert.lengthOf(other.seen, 3)
    })
  )
})

describe("the OpenAI judge", () => {
  const verdict = (passed: boolean) =>
    JSON.stringify({
      reasoning: "I read it.",
      passed,
      confidence: 0.9,
      feedback: passed ? "" : "Say more.",
      issues: []
    })

  it.live("rejects with feedback, and then accepts", () =>
    Effect.gen(function* () {
      const server = yield* make()
      let judged = 0
      server.script(({ response_format }) =>
        response_format === undefined ? reply("Hi.") : reply(verdict(++judged > 1))
      )
      const client = layer(server.url)
      const { stats, tasks: done } = yield* runList({
        client,
        tasks: [{ description: "Greet" }],
        config: { maxAttempts: 2 },
        verifier: Layer.provide(OpenAiVerifier.layer({ model: "local" }), client)
      })
      assert.deepInclude(done[0], { status: "completed", verified: true, attempts: 2 })
      assert.match(JSON.stringify(server.seen[2]?.body["messages"]), /Say more/)
      assert.strictEqual(stats.usage?.inputTokens, 400)
    })
  )

  it.live("keeps the output when its answer is not a verdict", () =>
    Effect.gen(function* () {
      const server = yield* make()
      let judged = 0
      server.script(({ response_format }) =>
        response_format === undefined ? reply("Hi.") : reply(++judged > 1 ? verdict(true) : "It is fine.")
      )
      const client = layer(server.url)
      const { tasks: done } = yield* runList({
        client,
        tasks: [{ description: "Greet" }],
        verifier: Layer.provide(OpenAiVerifier.layer({ model: "local" }), client)
      })
      assert.deepInclude(done[0], { status: "completed", attempts: 1 })
      assert.lengthOf(server.seen, 3)
    })
  )
})
