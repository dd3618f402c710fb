/** The executor against a server that others wrote, so that our own cannot teach it its own mistakes. */
import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layer } from "./clients.ts"
import { runList } from "./lists.ts"

const mock = Effect.acquireRelease(
  Effect.promise(() => LLMock.create({ port: 0, chunkSize: 5 })),
  (mock) => Effect.promise(() => mock.stop())
)

const run = (mock: LLMock, descriptions: ReadonlyArray<string>, concurrency = 1) =>
  runList({ client: layer(mock.url), descriptions, config: { concurrency, maxAttempts: 1 } })

const outcome = (mock: LLMock, description = "hello") =>
  Effect.map(run(mock, [description]), ({ tasks }) => ({
    status: tasks[0]?.status,
    result: tasks[0]?.result,
    feedback: tasks[0]?.feedback
  }))

describe("the executor, against aimock", () => {
  it.live("does a list, with tokens and cost", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage(/^Say/, { content: "Said, in pieces.", usage: { input_tokens: 100, output_tokens: 50 } })
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

  it.live("keeps to the text of an answer that was thought about", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage("hello", { content: "Hi.", reasoning: "They greet me." })
      assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi." })
    })
  )

  for (const [finishReason, status, sentence] of [
    ["refusal", "failed", /refused/],
    ["max_tokens", "failed", /cut off/],
    ["model_context_window_exceeded", "failed", /smaller/]
  ] as const) {
    it.live(`does not take an answer that ended with ${finishReason} for one`, () =>
      Effect.gen(function* () {
        const server = yield* mock
        server.onMessage("hello", { content: "so far", finishReason })
        const ended = yield* outcome(server)
        assert.strictEqual(ended.status, status)
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

  it.live("tries again after a limit, when the server says", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.on(
        { userMessage: "hello", sequenceIndex: 0 },
        { error: { message: "Wait", type: "rate_limit_error" }, status: 429, retryAfter: 0 }
      )
      server.onMessage("hello", { content: "Hi." })
      assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi." })
      assert.lengthOf(server.getRequests(), 2)
    })
  )

  it.live("tries again after an overload", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.on(
        { userMessage: "hello", sequenceIndex: 0 },
        { error: { message: "Overloaded", type: "overloaded_error" }, status: 529 }
      )
      server.onMessage("hello", { content: "Hi." })
      assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi." })
      assert.lengthOf(server.getRequests(), 2)
    })
  )

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

  it.live("waits for a server that is slow", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage("hello", { content: "Hi, at last." }, { latency: 20, chunkSize: 2 })
      assert.deepInclude(yield* outcome(server), { status: "completed", result: "Hi, at last." })
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

  it.live("fails an attempt on an answer that is garbage", () =>
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage("hello", { content: "Hi." })
      server.setChaos({ malformedRate: 1 })
      const ended = yield* outcome(server)
      assert.strictEqual(ended.status, "failed")
    })
  )
})
