import { ClaudeClient, type ClaudeError } from "@baton/adapters/claude"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Usage } from "@baton/core"
import { type Answer, error, reply } from "./server/Answer.ts"
import { key, layer, setup } from "./clients.ts"
import { inspect } from "node:util"
import { about, request, used } from "./requests.ts"
import * as Server from "./server/server.ts"

const usedBySonnet = (tokens: Parameters<typeof used>[0]) => used(tokens, "claude-sonnet-5-5")

/** The client's error for one answer of the server. */
const errorFor = (answer: Answer, options: Parameters<typeof setup>[0] = {}) =>
  Effect.gen(function* () {
    const { send, server } = yield* setup(options)
    server.script(() => answer)
    return yield* Effect.flip(send())
  })

const facts = ({ reason, status, type, usage }: ClaudeError) => ({ reason, type, status, usage })

/** Lets virtual time pass while real bytes come in, until the fiber has ended. */
const passTime = <A, E>(fiber: Fiber.Fiber<A, E>, step: Duration.Input) =>
  Effect.gen(function* () {
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust(step)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    return yield* Fiber.await(fiber)
  })

describe("a request", () => {
  it.live("is for a stream, with the key as a bearer token and the version of the API", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      yield* send()
      const [seen] = server.journal
      assert.deepInclude(seen?.headers, { authorization: `Bearer ${key}`, "anthropic-version": "2026-10-21" })
      assert.deepStrictEqual(seen?.body, { ...request("Hello"), stream: true })
    })
  )

  it.live("is sent once, whatever fails", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      for (const answer of [
        error(429),
        error(500),
        error(529),
        error(408),
        error(409),
        { _tag: "Drop", after: "nothing" },
        { _tag: "Drop", text: "half" }
      ] satisfies ReadonlyArray<Answer>) {
        server.script(() => answer)
        const before = server.messages().length
        yield* Effect.flip(send())
        assert.strictEqual(server.messages().length, before + 1)
      }
    })
  )

  it.live("reports when it is sent, which is after its turn has come", () =>
    Effect.gen(function* () {
      const { send } = yield* setup({ pacing: { requestsPerMinute: 1 } })
      const told: Array<string> = []
      const record = (what: string) => () => void told.push(what)
      yield* send({}, { onSend: record("sent"), onStart: record("answered") })
      assert.deepStrictEqual(told, ["sent", "answered"])
      const second = yield* Effect.forkChild(send({}, { onSend: record("sent again") }), { startImmediately: true })
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(told, ["sent", "answered"])
    })
  )

  it.live("is aborted when the caller is interrupted before the answer begins", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => ({ _tag: "Stall", after: "nothing" }))
      const fiber = yield* Effect.forkChild(send(), { startImmediately: true })
      yield* Effect.promise(() => server.until(() => server.messages().length === 1))
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* Effect.promise(() => server.until(() => server.messages()[0]?.aborted === true))
    })
  )

  it.live("is aborted, and does not fail, when the caller is interrupted in the middle of the answer", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => ({ _tag: "Stall", text: "half" }))
      const started = Promise.withResolvers<void>()
      const fiber = yield* Effect.forkChild(send({}, { onStart: started.resolve }), { startImmediately: true })
      yield* Effect.promise(() => started.promise)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* Effect.promise(() => server.until(() => server.messages()[0]?.aborted === true))
    })
  )
})

describe("an answer", () => {
  it.live("has its text, all its blocks, its usage, and its stop reason", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() =>
        reply("Good morning 🥐", {
          thinking: "French?",
          unknownEvents: true,
          pings: 5,
          headers: { "request-id": "req_x" }
        })
      )
      const { content, id: _, ...rest } = yield* send({ model: "claude-haiku-5-5" })
      assert.deepStrictEqual(rest, {
        model: "claude-haiku-5-5",
        text: "Good morning 🥐",
        stopReason: "end_turn",
        refusal: null,
        usage: used({ inputTokens: 2, outputTokens: 6 }),
        billing: "standard",
        inferenceGeo: "global",
        requestId: "req_x",
        cached: false
      })
      assert.deepStrictEqual(
        content.map(({ text, thinking, type }) => ({ type, text, thinking })),
        [
          { type: "thinking", text: undefined, thinking: "French?" },
          { type: "text", text: "Good morning 🥐", thinking: undefined }
        ]
      )
    })
  )

  it.live("keeps every stop reason, even an unknown one", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      for (const stopReason of [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "sunset"
      ]) {
        server.script(() => reply("so far", { stopReason }))
        assert.strictEqual((yield* send()).stopReason, stopReason)
      }
    })
  )

  it.live("says why Claude refused", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() =>
        reply("", {
          stopReason: "refusal",
          stopDetails: { type: "refusal", category: "bio", explanation: "It may harm." }
        })
      )
      assert.strictEqual((yield* send()).refusal, "bio: It may harm.")
    })
  )

  it.live("has the usage of its end, not of its start", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() =>
        reply("x", {
          usage: { input_tokens: 100, output_tokens: 50 },
          startUsage: { input_tokens: 1, output_tokens: 1 }
        })
      )
      assert.deepStrictEqual((yield* send()).usage, usedBySonnet({ inputTokens: 100, outputTokens: 50 }))
    })
  )

  it.live("has the usage of its start where its end has null", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() =>
        reply("x", {
          usage: {
            input_tokens: null,
            cache_read_input_tokens: null,
            cache_creation_input_tokens: null,
            output_tokens: 9
          },
          startUsage: { input_tokens: 7, cache_read_input_tokens: 5, cache_creation: null, output_tokens: 1 }
        })
      )
      assert.deepStrictEqual(
        (yield* send()).usage,
        usedBySonnet({ inputTokens: 7, cacheReadTokens: 5, outputTokens: 9 })
      )
    })
  )

  it.live("has an unknown usage where the server leaves out a number, and none where all numbers are zero", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const answered = (usage: Readonly<Record<string, unknown>>) => {
        server.script(() => reply("x", { usage, startUsage: { input_tokens: null, output_tokens: null } }))
        return send()
      }
      assert.isUndefined((yield* answered({ input_tokens: 10, output_tokens: null })).usage)
      assert.isUndefined((yield* answered({ input_tokens: null, output_tokens: 10 })).usage)
      assert.deepStrictEqual((yield* answered({ input_tokens: 0, output_tokens: 0 })).usage, Usage.zero)
    })
  )

  it.live(
    "has an unknown usage where its end does not state it, because the number at its start is a placeholder",
    () =>
      Effect.gen(function* () {
        const { send, server } = yield* setup()
        server.script(() => reply("x", { usage: { output_tokens: null } }))
        assert.isUndefined((yield* send()).usage)
      })
  )

  it.live("has an unknown usage where a gateway sends its message_delta without any", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const text = [
        { type: "message_start", message: { id: "msg_1", model: "m", usage: { input_tokens: 3, output_tokens: 1 } } },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "a long answer" } },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: { stop_reason: "end_turn" } },
        { type: "message_stop" }
      ]
        .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
        .join("")
      server.script(() => ({ _tag: "Bytes", chunks: [new TextEncoder().encode(text)] }))
      const { text: answer, usage } = yield* send()
      assert.strictEqual(answer, "a long answer")
      assert.isUndefined(usage)
    })
  )

  it.live("costs a tenth more where the API reports that it ran in the US", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("x", { usage: { input_tokens: 100, output_tokens: 50, inference_geo: "us" } }))
      const tokens = { inputTokens: 100, outputTokens: 50 }
      assert.deepStrictEqual((yield* send()).usage, usedBySonnet({ ...tokens, inferenceGeo: "us" }))
    })
  )

  it.live("is the text after the last use of a tool of the API, whose searches it costs", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const tools = [{ type: "web_search_20260318", name: "web_search", max_uses: 5 }]
      const use = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "capital" } }
      const result = { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
      const text = (text: string) => ({ type: "text", text, citations: null })
      server.script(() =>
        reply("", {
          content: [text("I will search."), use, result, text("It is "), text("Paris.")],
          usage: { server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 } },
          container: "container_1"
        })
      )
      const found = yield* send({ tools })
      assert.strictEqual(found.text, "It is Paris.")
      assert.deepStrictEqual(found.toolUses, { webSearches: 2, webFetches: 0, codeRuns: 0 })
      assert.strictEqual(found.container, "container_1")
      const { costUsd, ...tokens } = found.usage ?? Usage.zero
      assert.approximately((costUsd ?? 0) - (usedBySonnet(tokens).costUsd ?? 0), 0.02, 1e-9)
      const ran = { type: "server_tool_use", id: "srvtoolu_2", name: "bash_code_execution", input: {} }
      const output = { type: "bash_code_execution_tool_result", tool_use_id: "srvtoolu_2", content: {} }
      server.script(() => reply("", { content: [ran, output, text("4")] }))
      const { usage } = yield* send({ tools: [{ type: "code_execution_20250825", name: "code_execution" }] })
      const { costUsd: withCode, ...alone } = usage ?? Usage.zero
      const code = (withCode ?? 0) - (usedBySonnet(alone).costUsd ?? 0)
      assert.approximately(code, 0.05 / 12, 1e-6)
    })
  )

  it.live("costs nothing after a refusal before any output, which the API does not bill", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const usage = { input_tokens: 100, output_tokens: 1 }
      const refused = (content: ReadonlyArray<Readonly<Record<string, unknown>>>) => {
        server.script(() => reply("", { content, usage, stopReason: "refusal" }))
        return send()
      }
      const tokens = { inputTokens: 100, outputTokens: 1 }
      for (const nothing of [[], [{ type: "text", text: "" }]]) {
        assert.deepStrictEqual((yield* refused(nothing)).usage, { ...usedBySonnet(tokens), costUsd: 0 })
      }
      for (const block of [
        { type: "text", text: "Well" },
        { type: "thinking", thinking: "", signature: "x" }
      ]) {
        assert.deepStrictEqual((yield* refused([block])).usage, usedBySonnet(tokens))
      }
    })
  )

  it.live("distinguishes cache writes for five minutes and for an hour", () =>
    Effect.gen(function* () {
      const { send } = yield* setup()
      const system = (ttl: "5m" | "1h", text: string) => [
        { type: "text" as const, text: text.repeat(600), cache_control: { type: "ephemeral" as const, ttl } }
      ]
      const uncached = { inputTokens: 2, outputTokens: 3 }
      const short = yield* send({ system: system("5m", "short ") })
      assert.deepStrictEqual(short.usage, usedBySonnet({ ...uncached, cacheWriteTokens: 900 }))
      const long = yield* send({ system: system("1h", "long ") })
      assert.deepStrictEqual(long.usage, usedBySonnet({ ...uncached, cacheWriteTokens: 750, cacheWrite1hTokens: 750 }))
      const again = yield* send({ system: system("1h", "long ") })
      assert.deepStrictEqual(again.usage, usedBySonnet({ ...uncached, cacheReadTokens: 750 }))
    })
  )

  it.live("is reported when it begins", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const hold = Promise.withResolvers<void>()
      const started = Promise.withResolvers<void>()
      server.script(() => reply("x", { hold: hold.promise }))
      const fiber = yield* Effect.forkChild(send({}, { onStart: started.resolve }))
      yield* Effect.promise(() => started.promise)
      assert.isUndefined(fiber.pollUnsafe())
      hold.resolve()
      assert.strictEqual((yield* Fiber.join(fiber)).text, "x")
    })
  )

  it.live("is complete with message_stop, even if the connection is lost after it", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("x", { afterwards: "is reset" }))
      assert.strictEqual((yield* send()).text, "x")
    })
  )

  it.live("is complete with message_stop, even if the server does not end the response", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      server.script(() => reply("x", { afterwards: "stays open" }))
      assert.strictEqual((yield* send()).text, "x")
    })
  )

  it.live("is read correctly wherever a proxy splits its bytes", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup()
      const events = [
        { type: "message_start", message: { id: "msg_1", model: "m", usage: { input_tokens: 3, output_tokens: 1 } } },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "äöü 🥐 \u2028\r\n" } },
        { type: "content_block_delta", index: 0, delta: { type: "sparkle_delta", sparkle: 1 } },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 4 } },
        { type: "message_stop" }
      ]
      for (const [lineEnd, named] of [
        ["\n", true],
        ["\r\n", true],
        ["\r", false]
      ] as const) {
        const text = events
          .map(
            (event) =>
              `${named ? `event: ${event.type}${lineEnd}` : ""}: a comment${lineEnd}data: ${JSON.stringify(event)}${lineEnd}${lineEnd}`
          )
          .join("")
        for (const size of [1, 7, 100_000]) {
          server.script(() => ({ _tag: "Bytes", chunks: cut(new TextEncoder().encode(text), size) }))
          const { stopReason, text: answer, usage } = yield* send()
          assert.deepStrictEqual(
            { stopReason, answer, usage },
            {
              stopReason: "end_turn",
              answer: "äöü 🥐 \u2028\r\n",
              usage: usedBySonnet({ inputTokens: 3, outputTokens: 4 })
            }
          )
        }
      }
    })
  )
})

const cut = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

type Http = Extract<Answer, { readonly status: number }>

describe("an error of the API", () => {
  for (const [answer, reason, type] of [
    [error(400), "Permanent", "invalid_request_error"],
    [error(400, { message: "prompt is too long: 2 tokens > 1 maximum" }), "Permanent", "invalid_request_error"],
    [error(400, { message: "You have reached your specified API usage limits." }), "Fatal", "invalid_request_error"],
    [error(400, { message: "Your credit balance is too low to access the API." }), "Fatal", "invalid_request_error"],
    [error(401), "Fatal", "authentication_error"],
    [error(402), "Fatal", "billing_error"],
    [error(403), "Fatal", "permission_error"],
    [error(404), "Permanent", "not_found_error"],
    [error(408, { type: "timeout_error" }), "Transient", "timeout_error"],
    [error(409), "Transient", "conflict_error"],
    [error(413), "Permanent", "request_too_large"],
    [error(422, { type: "invalid_request_error" }), "Permanent", "invalid_request_error"],
    [error(429), "Transient", "rate_limit_error"],
    [error(429, { errorCode: "contract_spend_limit_reached" }), "Fatal", "contract_spend_limit_reached"],
    [error(429, { errorCode: "enforced_spend_limit_reached" }), "Fatal", "enforced_spend_limit_reached"],
    [error(429, { errorCode: "ramp_limit_exceeded" }), "Transient", "ramp_limit_exceeded"],
    [error(500), "Transient", "api_error"],
    [error(503, { type: "api_error" }), "Transient", "api_error"],
    [error(504), "Transient", "timeout_error"],
    [error(529), "Transient", "overloaded_error"],
    [error(503, { headers: { "x-should-retry": "false" } }), "Failed", "api_error"],
    [
      { _tag: "Raw", status: 502, headers: { "content-type": "text/html" }, body: "<h1>Bad gateway" },
      "Transient",
      "http_502"
    ],
    [
      { _tag: "Raw", status: 404, headers: { "content-type": "text/html" }, body: "<h1>Not here" },
      "Permanent",
      "not_found_error"
    ]
  ] satisfies ReadonlyArray<readonly [Http, ClaudeError["reason"], string]>) {
    const name =
      answer._tag === "Raw" ? answer.body : (answer.errorCode ?? answer.message ?? answer.headers?.["x-should-retry"])
    it.live(`${answer.status}${name === undefined ? "" : ` (${name})`} is ${reason}`, () =>
      Effect.gen(function* () {
        const failed = yield* errorFor(answer)
        assert.deepStrictEqual(facts(failed), { reason, type, status: answer.status, usage: Usage.zero })
        assert.match(failed.message, /\.$/)
      })
    )
  }

  for (const [type, reason] of [
    ["overloaded_error", "Transient"],
    ["api_error", "Transient"],
    ["rate_limit_error", "Transient"],
    ["invalid_request_error", "Permanent"],
    ["authentication_error", "Fatal"],
    ["something_new_error", "Transient"]
  ] as const) {
    it.live(`${type} in the middle of a stream is ${reason}, by its type alone, and its cost is unknown`, () =>
      Effect.gen(function* () {
        const failed = yield* errorFor({ _tag: "ErrorEvent", type, text: "half an ans" })
        assert.deepStrictEqual(facts(failed), { reason, type, status: undefined, usage: undefined })
      })
    )
  }

  it.live("in a stream that had not begun costs nothing", () =>
    Effect.gen(function* () {
      const body = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
      const failed = yield* errorFor({
        _tag: "Raw",
        status: 200,
        headers: { "content-type": "text/event-stream" },
        body
      })
      assert.deepStrictEqual(facts(failed), {
        reason: "Transient",
        type: "overloaded_error",
        status: undefined,
        usage: Usage.zero
      })
    })
  )

  it.live("has the request's id and the API's message, up to a limit", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor(error(400, { message: `max_tokens: too many. ${"x".repeat(10_000)}` }))
      assert.match(failed.requestId ?? "", /^req_/)
      assert.include(failed.message, "max_tokens: too many.")
      assert.include(failed.message, failed.requestId ?? "none")
      assert.isBelow(failed.message.length, 700)
    })
  )
})

describe("how long to wait", () => {
  for (const [what, headers, millis] of [
    ["seconds", { "retry-after": "7" }, 7000],
    ["a day", { "retry-after": "86400" }, 86_400_000],
    ["milliseconds, which win", { "retry-after-ms": "1500", "retry-after": "7" }, 1500],
    ["a date", { "retry-after": "Thu, 01 Jan 1970 00:01:00 GMT" }, 60_000],
    ["a date that is past", { "retry-after": "Wed, 31 Dec 1969 00:00:00 GMT" }, 0],
    ["nonsense", { "retry-after": "soon" }, undefined],
    ["a negative number", { "retry-after": "-5" }, undefined]
  ] as const) {
    it.effect(`is stated as ${what}`, () =>
      Effect.gen(function* () {
        const { retryAfter } = yield* errorFor(error(429, { headers }))
        assert.strictEqual(retryAfter === undefined ? undefined : Duration.toMillis(retryAfter), millis)
      })
    )
  }
})

describe("a connection", () => {
  it.live("that is refused is Transient, and costs nothing", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(Server.make())
      const context = yield* Layer.build(layer(server.url))
      const failed = yield* Effect.flip(Context.get(context, ClaudeClient.ClaudeClient).send(request("Hello"), about()))
      assert.strictEqual(failed._tag, "ModelError")
      if (failed._tag !== "ModelError") return
      assert.deepStrictEqual(facts(failed), {
        reason: "Transient",
        type: "network",
        status: undefined,
        usage: Usage.zero
      })
      assert.include(failed.message, "ECONNREFUSED")
    })
  )

  it.live("that drops before the answer begins is Transient, and the cost is unknown", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor({ _tag: "Drop", after: "nothing" })
      assert.deepStrictEqual(facts(failed), {
        reason: "Transient",
        type: "network",
        status: undefined,
        usage: undefined
      })
    })
  )

  for (const after of ["headers", "text"] as const) {
    it.live(`that drops after the ${after} is Transient, and the cost is unknown`, () =>
      Effect.gen(function* () {
        const failed = yield* errorFor({ _tag: "Drop", after, text: "half an ans" })
        assert.deepStrictEqual(facts(failed), {
          reason: "Transient",
          type: "network",
          status: undefined,
          usage: undefined
        })
      })
    )
  }

  it.live("that ends without message_stop is Transient, although no error occurred", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor({ _tag: "CleanEof", text: "looks whole." })
      assert.deepStrictEqual(facts(failed), {
        reason: "Transient",
        type: "truncated",
        status: undefined,
        usage: undefined
      })
      assert.match(failed.requestId ?? "", /^req_/)
    })
  )

  for (const after of ["headers", "text"] as const) {
    it.effect(`that goes silent after the ${after} is TimedOut after idleTimeout, and aborted`, () =>
      Effect.gen(function* () {
        const { send, server } = yield* setup({ idleTimeout: "30 seconds" })
        server.script(() => ({ _tag: "Stall", after, text: "half" }))
        const fiber = yield* Effect.forkChild(Effect.flip(send()))
        const exit = yield* passTime(fiber, "10 seconds")
        assert.isTrue(Exit.isSuccess(exit))
        if (!Exit.isSuccess(exit)) return
        assert.deepStrictEqual(facts(exit.value), {
          reason: "TimedOut",
          type: "idle",
          status: undefined,
          usage: undefined
        })
        assert.include(exit.value.message, "30s")
        yield* Effect.promise(() => server.until(() => server.messages()[0]?.aborted === true))
      })
    )
  }

  it.effect("that sends only pings is alive, however long it takes", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup({ idleTimeout: "30 seconds" })
      const started = Promise.withResolvers<void>()
      server.script(() => ({ _tag: "Stall", text: "half", pingEveryMillis: 1 }))
      const fiber = yield* Effect.forkChild(send({}, { onStart: started.resolve }))
      yield* Effect.promise(() => started.promise)
      for (let seconds = 0; seconds < 300; seconds += 20) {
        // The first of them has been read by the time the last one is sent: client and server share an event loop.
        for (let pings = 0; pings < 3; pings++) yield* Effect.promise(() => server.pinged())
        yield* TestClock.adjust("20 seconds")
      }
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("that exceeds the request timeout is TimedOut, although it is alive", () =>
    Effect.gen(function* () {
      const { send, server } = yield* setup({ requestTimeout: { execute: "1 minute", judge: "1 second" } })
      const started = Promise.withResolvers<void>()
      server.script(() => ({ _tag: "Stall", text: "half", pingEveryMillis: 1 }))
      const fiber = yield* Effect.forkChild(send({}, { onStart: started.resolve }), { startImmediately: true })
      yield* Effect.promise(() => started.promise)
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const failed = yield* Effect.flip(Fiber.join(fiber))
      assert.deepStrictEqual(facts(failed), {
        reason: "TimedOut",
        type: "timeout",
        status: undefined,
        usage: undefined
      })
      yield* Effect.promise(() => server.until(() => server.messages()[0]?.aborted === true))
    })
  )

  it.live("on which no answer begins is TimedOut after timeout, and the cost is unknown", () =>
    Effect.gen(function* () {
      const failed = yield* errorFor({ _tag: "Stall", after: "nothing" }, { timeout: "50 millis" })
      assert.deepStrictEqual(facts(failed), {
        reason: "TimedOut",
        type: "timeout",
        status: undefined,
        usage: undefined
      })
    })
  )
})

describe("a response that Claude's API does not send", () => {
  for (const [what, contentType, body] of [
    ["JSON in place of a stream", "application/json", "{}"],
    ["an event that is not JSON", "text/event-stream", "event: message_start\ndata: {\n\n"],
    [
      "a message without an id",
      "text/event-stream",
      'event: message_start\ndata: {"message":{}}\n\nevent: message_stop\ndata: {}\n\n'
    ]
  ] as const) {
    it.live(`is Failed: ${what}`, () =>
      Effect.gen(function* () {
        const failed = yield* errorFor({ _tag: "Raw", status: 200, headers: { "content-type": contentType }, body })
        assert.deepStrictEqual(facts(failed), {
          reason: "Failed",
          type: "malformed",
          status: undefined,
          usage: undefined
        })
      })
    )
  }
})

describe("a proxy", () => {
  it.live("that answers with a web page is Fatal, because no request reaches the API", () =>
    Effect.gen(function* () {
      const headers = { "content-type": "text/html" }
      const failed = yield* errorFor({ _tag: "Raw", status: 200, headers, body: "<h1>Sign in" })
      assert.deepStrictEqual(facts(failed), { reason: "Fatal", type: "malformed", status: undefined, usage: undefined })
    })
  )

  it.live("that did not wait for an answer leaves the cost unknown", () =>
    Effect.gen(function* () {
      const headers = { "content-type": "text/html" }
      const failed = yield* errorFor({ _tag: "Raw", status: 504, headers, body: "<h1>Gateway timeout" })
      assert.deepStrictEqual(facts(failed), {
        reason: "Transient",
        type: "timeout_error",
        status: 504,
        usage: undefined
      })
    })
  )
})

describe("the key", () => {
  it.live("is in no error, even where the server repeats it", () =>
    Effect.gen(function* () {
      for (const answer of [
        error(401, { message: `invalid key ${key}` }),
        { _tag: "ErrorEvent", type: "api_error", message: `you sent ${key}` },
        { _tag: "Drop", after: "nothing" },
        { _tag: "Raw", status: 500, body: `Bearer ${key}` }
      ] satisfies ReadonlyArray<Answer>) {
        const failed = yield* errorFor(answer)
        const seen = [String(failed), failed.message, failed.stack, JSON.stringify(failed), inspect(failed)].join()
        assert.notInclude(seen, key)
      }
    })
  )

  for (const [what, apiKey] of [
    ["is empty", " \n"],
    ["has a line break in it", "sk-ant\nsecret"]
  ] as const) {
    it.live(`that ${what} is Fatal, without a request`, () =>
      Effect.gen(function* () {
        const { send, server } = yield* setup({ apiKey: Redacted.make(apiKey) })
        const failed = yield* Effect.flip(send())
        assert.deepStrictEqual(facts(failed), {
          reason: "Fatal",
          type: "configuration",
          status: undefined,
          usage: Usage.zero
        })
        assert.notInclude(failed.message, "secret")
        assert.strictEqual(server.journal.length, 0)
      })
    )
  }

  it.live("may have white space around it, as files and shells add it", () =>
    Effect.gen(function* () {
      const { send } = yield* setup({ apiKey: Redacted.make(` ${key}\n`) }, { apiKey: key })
      assert.strictEqual((yield* send()).stopReason, "end_turn")
    })
  )

  it.live("is Fatal with an invalid base URL", () =>
    Effect.gen(function* () {
      const { send } = yield* setup({ baseUrl: "localhost" })
      const failed = yield* Effect.flip(send())
      assert.strictEqual(failed.reason, "Fatal")
      assert.include(failed.message, '"localhost"')
    })
  )
})

describe("countTokens", () => {
  it.live("counts the tokens of a request", () =>
    Effect.gen(function* () {
      const { client } = yield* setup()
      const system = [{ type: "text" as const, text: "Be brief." }]
      assert.strictEqual(yield* client.countTokens(request("Hello", { system, service_tier: "auto" })), 5)
    })
  )

  it.live("fails as sending does", () =>
    Effect.gen(function* () {
      const { client } = yield* setup()
      const failed = yield* Effect.flip(client.countTokens(request("Hello", { model: "gpt-2" })))
      assert.deepInclude(facts(failed), { reason: "Permanent", status: 404 })
    })
  )
})

describe("model", () => {
  it.live("returns the limits of a model and when it is retired", () =>
    Effect.gen(function* () {
      const { client } = yield* setup()
      assert.deepStrictEqual(yield* client.model("claude-sonnet-4-5"), {
        id: "claude-sonnet-4-5",
        lifecycle: "deprecated",
        retiresAt: "2026-11-30",
        maxInputTokens: 200_000,
        maxOutputTokens: 64_000
      })
    })
  )

  it.live("is Permanent for one that does not exist", () =>
    Effect.gen(function* () {
      const { client } = yield* setup()
      const failed = yield* Effect.flip(client.model("gpt-2"))
      assert.deepInclude(facts(failed), { reason: "Permanent", status: 404 })
      assert.include(failed.message, "gpt-2")
    })
  )
})
