/** The executor and the judge against a server that others wrote, so that our own cannot teach them its own mistakes. */
import type { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { mock } from "./aimock.ts"
import { layer, runList } from "./setup.ts"

const client = (mock: LLMock) => layer(`${mock.url}/v1`)

const run = (mock: LLMock, descriptions: ReadonlyArray<string>, concurrency = 1) =>
  runList({
    client: client(mock),
    tasks: descriptions.map((description) => ({ description })),
    config: { concurrency }
  })

const outcome = (mock: LLMock) =>
  Effect.map(run(mock, ["hello"]), ({ tasks }) => ({
    status: tasks[0]?.status,
    result: tasks[0]?.result,
    feedback: tasks[0]?.feedback
  }))

describe("the OpenAI executor, against aimock", () => {
  it.live("does a list, with tokens and cost", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage(/^Say/, { content: "Said, in pieces.", usage: { prompt_tokens: 100, completion_tokens: 50 } })
      const { stats, tasks } = yield* run(
        server,
        Array.from({ length: 40 }, (_, index) => `Say ${index}`),
        8
      )
      assert.deepStrictEqual(new Set(tasks.map(({ result }) => result)), new Set(["Said, in pieces."]))
      assert.deepInclude(stats.usage, { inputTokens: 4000, outputTokens: 2000 })
      assert.closeTo(stats.usage?.costUsd ?? 0, (40 * (100 * 2 + 50 * 10)) / 1e6, 1e-9)
      assert.lengthOf(server.getRequests(), 40)
    })
  )

  it.live("takes structured output", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage("sort", { content: '{"topic":"bug"}' })
      const { tasks } = yield* runList({
        client: client(server),
        tasks: [{ description: "sort" }],
        executor: { schema: Schema.Struct({ topic: Schema.String }) }
      })
      assert.strictEqual(tasks[0]?.result, '{"topic":"bug"}')
    })
  )

  for (const [finishReason, sentence] of [
    ["content_filter", /refused/],
    ["length", /cut off/]
  ] as const) {
    it.live(`does not take an answer that ended with ${finishReason} for one`, () =>
      Effect.gen(function* () {
        const server = yield* mock
        server.onMessage("hello", { content: "so far", finishReason })
        const ended = yield* outcome(server)
        assert.strictEqual(ended.status, "failed")
        assert.match(ended.feedback ?? "", sentence)
      })
    )
  }

  it.live("has no tools to offer", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage("hello", { toolCalls: [{ name: "look", arguments: '{"where":"there"}' }] })
      assert.match((yield* outcome(server)).feedback ?? "", /tool/)
    })
  )

  for (const [what, status, type] of [
    ["a limit, when the server says", 429, "rate_limit_error"],
    ["a failure", 500, "server_error"]
  ] as const) {
    it.live(`tries again after ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* mock
        server.on(
          { userMessage: "hello", sequenceIndex: 0 },
          { error: { message: "Wait", type }, status, retryAfter: 0 }
        )
        server.onMessage("hello", { content: "Hi." })
        assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi." })
        assert.lengthOf(server.getRequests(), 2)
      })
    )
  }

  it.live("tries again after a connection that dropped in the middle", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.on(
        { userMessage: "hello", sequenceIndex: 0 },
        { content: "A long answer, in many pieces." },
        { truncateAfterChunks: 3 }
      )
      server.onMessage("hello", { content: "Hi." })
      assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi." })
      assert.lengthOf(server.getRequests(), 2)
    })
  )

  it.live("finishes a list in chaos", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage(/^Say/, { content: "Said." })
      server.setChaos({ dropRate: 0.2, disconnectRate: 0.2 })
      const { tasks } = yield* run(
        server,
        Array.from({ length: 60 }, (_, index) => `Say ${index}`),
        16
      )
      assert.deepStrictEqual(new Set(tasks.map(({ result }) => result)), new Set(["Said."]))
      assert.isAbove(server.getRequests().length, 60)
    })
  )
})
