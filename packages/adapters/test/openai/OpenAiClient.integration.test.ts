import type { ModelError } from "@baton/adapters/openai"
import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { inspect } from "node:util"
import { type Answer, error, make, reply } from "./server.ts"
import { key, setup } from "./setup.ts"

const facts = ({ reason, status, type, usage }: ModelError) => ({ reason, type, status, usage })

/** The client's error for one answer of the server. */
const errorFor = (answer: Answer, options: Parameters<typeof setup>[0] = {}) =>
  Effect.gen(function* () {
    const { send, server } = yield* setup(options)
    server.script(() => answer)
    return yield* Effect.flip(send())
  })

describe("a request to an OpenAI-compatible server", () => {
  it.live("is for a stream with its usage, and carries the key", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      yield* send({ system: [{ type: "text", text: "Be brief." }] })
      const [seen] = server.seen
      assert.strictEqual(seen?.authorization, `Bearer ${key}`)
      assert.deepStrictEqual(seen?.body, {
        model: "gpt-x",
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" }
        ],
        max_tokens: 1000,
        stream: true,
        stream_options: { include_usage: true }
      })
    })
  )

  it.live("passes on the text of the answer as it arrives", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("One two three"))
      const texts: Array<string> = []
      yield* send({}, { onText: (text) => void texts.push(text) })
      assert.strictEqual(texts.at(-1), "One two three")
      for (const text of texts) assert.isTrue("One two three".startsWith(text), text)
    })
  )

  it.live("asks for JSON that matches a schema, and for an effort", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const schema = { type: "object", properties: {} }
      yield* send({ output_config: { effort: "high", format: { type: "json_schema", schema } } })
      assert.deepInclude(server.seen[0]?.body, {
        reasoning_effort: "high",
        response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: true } }
      })
    })
  )

  it.live("has images and documents in the form of this API", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const source = (media_type: string) => ({ type: "base64", media_type, data: "AAAA" })
      yield* send({
        messages: [
          {
            role: "user",
            content: [
              { type: "image", source: source("image/png") },
              { type: "document", title: "a.pdf", source: source("application/pdf") },
              { type: "text", text: "What is this?" }
            ]
          }
        ]
      })
      assert.deepStrictEqual(server.seen[0]?.body["messages"], [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAAA" } },
            { type: "text", text: "What is this?" }
          ]
        }
      ])
    })
  )

  it.live("limits the answer by the name that a model accepts, which is learned once", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const refused = error(400, {
        message:
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        code: "unsupported_parameter"
      })
      server.script(({ max_tokens }) => (max_tokens === undefined ? reply("Hi.") : refused))
      assert.strictEqual((yield* send()).text, "Hi.")
      assert.strictEqual((yield* send()).text, "Hi.")
      assert.deepStrictEqual(
        server.seen.map(({ body }) => body["max_completion_tokens"]),
        [undefined, 1000, 1000]
      )
    })
  )

  it.live("is sent once, whatever fails", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      for (const answer of [error(429), error(500), error(408), { _tag: "Drop", text: "half" } as const]) {
        server.script(() => answer)
        const before = server.seen.length
        yield* Effect.flip(send())
        assert.lengthOf(server.seen, before + 1)
      }
    })
  )
})

describe("an answer of an OpenAI-compatible server", () => {
  it.live("has its text, its usage from the last chunk, and its cost", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() =>
        reply("In several pieces.", {
          usage: { prompt_tokens: 1000, completion_tokens: 200, prompt_tokens_details: { cached_tokens: 400 } }
        })
      )
      const answer = yield* send()
      assert.deepInclude(answer, {
        model: "gpt-x-2026-01-01",
        text: "In several pieces.",
        stopReason: "end_turn",
        requestId: "req_1"
      })
      assert.deepInclude(answer.usage, { inputTokens: 600, cacheReadTokens: 400, outputTokens: 200 })
      assert.closeTo(answer.usage?.costUsd ?? 0, (600 * 2 + 400 * 0.5 + 200 * 10) / 1e6, 1e-12)
    })
  )

  it.live("costs what the server says that it billed", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("Hi.", { usage: { prompt_tokens: 10, completion_tokens: 2, cost: 0.0123 } }))
      assert.strictEqual((yield* send()).usage?.costUsd, 0.0123)
    })
  )

  it.live("has an unknown usage where the server does not count", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("Hi.", { usage: null }))
      assert.isUndefined((yield* send()).usage)
    })
  )

  it.live("is whole without [DONE], when it has said why it ended", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("Hi.", { done: false }))
      assert.strictEqual((yield* send()).text, "Hi.")
    })
  )

  for (const [what, answer, stopReason] of [
    ["its limit", reply("so far", { finishReason: "length" }), "max_tokens"],
    ["a content filter", reply("", { finishReason: "content_filter" }), "refusal"],
    ["a refusal", reply("", { refusal: "I can't help with that." }), "refusal"],
    ["a tool", reply("", { finishReason: "tool_calls", tools: true }), "tool_use"],
    ["nothing", reply("so far", { finishReason: null }), "unknown"]
  ] as const) {
    it.live(`reports that it ended with ${what}`, () =>
      Effect.gen(function* () {
        const { send, server } = yield* setup()
        server.script(() => answer)
        assert.strictEqual((yield* send()).stopReason, stopReason)
      })
    )
  }
})

describe("an error of an OpenAI-compatible server", () => {
  for (const [what, answer, expected, sentence] of [
    [
      "a wrong key",
      error(401, { message: "Incorrect API key" }),
      { reason: "Fatal", type: "authentication_error" },
      /check OPENAI_API_KEY/
    ],
    ["a missing permission", error(403), { reason: "Fatal", type: "permission_error" }, /permission/],
    [
      "no credit",
      error(429, {
        type: "insufficient_quota",
        code: "insufficient_quota",
        message: "You exceeded your current quota"
      }),
      { reason: "Fatal", type: "insufficient_quota" },
      /no credit left/
    ],
    [
      "no credit, as OpenRouter says it",
      error(402, { message: "Insufficient credits", code: 402 }),
      { reason: "Fatal", type: "insufficient_quota" },
      /no credit left/
    ],
    [
      "a bad request",
      error(400, { message: "No.", type: "invalid_request_error" }),
      { reason: "Permanent", type: "invalid_request_error" },
      /: No \[req_1\]\.$/
    ],
    [
      "a task that is too long",
      error(400, { message: "This model's maximum context length is 8192 tokens.", code: "context_length_exceeded" }),
      { reason: "Permanent", type: "context_length_exceeded" },
      /make it smaller/
    ],
    [
      "an unknown model",
      error(404, { message: 'model "gpt-x" not found, try pulling it first' }),
      { reason: "Permanent", type: "not_found_error" },
      /does not have the model gpt-x/
    ],
    ["a wrong address", error(404, "404 page not found"), { reason: "Fatal", type: "no_endpoint" }, /ends in \/v1/],
    [
      "a rate limit",
      error(429, { code: "rate_limit_exceeded" }),
      { reason: "Transient", type: "rate_limit_error" },
      /limits the rate/
    ],
    ["a conflict", error(409), { reason: "Transient", type: "http_409" }, /answered with an error/],
    ["a failure", error(500, { type: "server_error" }), { reason: "Transient", type: "server_error" }, /500/],
    ["an overload", error(503), { reason: "Transient", type: "http_503" }, /503/]
  ] as const satisfies ReadonlyArray<readonly [string, Answer, object, RegExp]>) {
    it.live(`is ${expected.reason} for ${what}, and costs nothing`, () =>
      Effect.gen(function* () {
        const failed = yield* errorFor(answer)
        assert.deepInclude(facts(failed), { ...expected, usage: Usage.zero })
        assert.match(failed.message, sentence)
      })
    )
  }

  it.live("says how long to wait", () =>
    Effect.gen(function* () {
      const seconds = yield* errorFor(error(429, {}, { "retry-after": "7" }))
      assert.deepStrictEqual(seconds.retryAfter, Duration.seconds(7))
      const millis = yield* errorFor(error(429, {}, { "retry-after-ms": "250", "retry-after": "1" }))
      assert.deepStrictEqual(millis.retryAfter, Duration.millis(250))
    })
  )

  it.live("in the middle of an answer is what its code says, and its cost is unknown", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor({
        _tag: "ErrorInStream",
        text: "half",
        error: { code: 502, message: "Provider disconnected" }
      })
      assert.deepStrictEqual(facts(failed), { reason: "Transient", type: "http_502", status: 502, usage: undefined })
    })
  )

  it.live("is an answer without its end, whose cost is unknown", () =>
    Effect.gen(function* () {
      const dropped = yield* errorFor({ _tag: "Drop", text: "half" })
      assert.deepInclude(facts(dropped), { reason: "Transient", type: "network", usage: undefined })
      const ended = yield* errorFor(reply("half", { finishReason: null, done: false, usage: null }))
      assert.deepInclude(facts(ended), { reason: "Transient", type: "truncated", usage: undefined })
    })
  )

  it.live("is silence", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor({ _tag: "Silence", text: "half" }, { idleTimeout: "50 millis" })
      assert.deepInclude(facts(failed), { reason: "TimedOut", type: "idle", usage: undefined })
    })
  )

  it.live("is a web page, which ends the run", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* errorFor({ _tag: "Page" })).reason, "Fatal")
    })
  )

  it.live("asks whether the server is running when nothing listens", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(make())
      const failed = yield* errorFor(reply(""), { baseUrl: url })
      assert.deepInclude(facts(failed), { reason: "Transient", type: "network", usage: Usage.zero })
      assert.match(failed.message, /is the server running at http:\/\/127\.0\.0\.1:\d+\/v1\?$/)
    })
  )

  it.live("never contains the key", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor(error(400, { message: `Bad key ${key}` }))
      assert.notInclude(inspect(failed.toJSON?.() ?? failed.message), key)
      assert.include(failed.message, "<key>")
    })
  )
})

describe("a client without a key", () => {
  it.live("sends requests to a local server", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup({ apiKey: undefined })
      assert.strictEqual((yield* send({ model: "local" })).usage?.costUsd, 0)
      assert.lengthOf(server.seen, 1)
    })
  )
})

describe("the limits that a server states", () => {
  it.live("hold back the next request", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script((_, n) =>
        reply("Hi.", {
          headers: {
            // The next one may go in an hour.
            "x-ratelimit-limit-requests": "1",
            "x-ratelimit-remaining-requests": n === 1 ? "0" : "1",
            "x-ratelimit-reset-requests": "1h0m0s"
          }
        })
      )
      yield* send()
      let isSent = false
      const second = yield* Effect.forkChild(send({}, { onSend: () => void (isSent = true) }), {
        startImmediately: true
      })
      assert.isFalse(isSent)
      yield* Effect.yieldNow
      assert.strictEqual(second.pollUnsafe(), undefined)
      assert.lengthOf(server.seen, 1)
    })
  )
})
