// The other side of a server under test is any HTTP client. @effect-diagnostics globalFetch:off globalFetchInEffect:off
import Anthropic, {
  APIConnectionError,
  APIError,
  OverloadedError,
  PaymentRequiredError,
  RateLimitError
} from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type Answer, error, reply, type RequestSeen } from "./server/Answer.ts"
import { chaos } from "./server/chaos.ts"
import * as Server from "./server/server.ts"

/** The official client, as it comes. */
const client = (server: Pick<Server.ClaudeServer, "url">, options?: ConstructorParameters<typeof Anthropic>[0]) =>
  new Anthropic({ apiKey: "key", baseURL: server.url, maxRetries: 0, logLevel: "off", ...options })

const hello = { model: "claude-haiku-5-5", max_tokens: 100, messages: [{ role: "user" as const, content: "Hello" }] }

const failure = (call: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await call()
    } catch (cause) {
      return cause
    }
    return undefined
  })

const apiError = (call: () => PromiseLike<unknown>) =>
  Effect.map(failure(call), (cause) => {
    assert.instanceOf(cause, APIError)
    return cause
  })

const live = (name: string, test: (server: Server.ClaudeServer) => Effect.Effect<void>, options?: Server.Options) =>
  it.live(name, () => Effect.scoped(Effect.flatMap(Server.make(options), test)))

describe("the server, through the official SDK", () => {
  live("answers in one piece, with its usage and a request id", (server) =>
    Effect.gen(function* () {
      const message = yield* Effect.promise(() => client(server).messages.create(hello))
      assert.deepStrictEqual(
        message.content.map((block) => (block.type === "text" ? block.text : block.type)),
        ["Echo: Hello"]
      )
      assert.strictEqual(message.stop_reason, "end_turn")
      assert.strictEqual(message.usage.input_tokens, 2)
      assert.strictEqual(message.usage.output_tokens, 3)
      assert.match(message._request_id ?? "", /^req_/)
    })
  )

  live("streams the same answer that it gives in one piece", (server) =>
    Effect.gen(function* () {
      server.script(() =>
        reply("A long answer, in pieces: äöü 🥐", { thinking: "Let me see", unknownEvents: true, pings: 3 })
      )
      const whole = yield* Effect.promise(() => client(server).messages.create(hello))
      const stream = client(server).messages.stream(hello)
      const streamed = yield* Effect.promise(() => stream.finalMessage())
      assert.deepStrictEqual(streamed.content, whole.content)
      assert.deepStrictEqual(streamed.usage, whole.usage)
      assert.strictEqual(yield* Effect.promise(() => stream.finalText()), "A long answer, in pieces: äöü 🥐")
    })
  )

  live("streams the input of tools in pieces", (server) =>
    Effect.gen(function* () {
      const content = [{ type: "tool_use", id: "toolu_1", name: "look", input: { where: "Berlin", deep: [1, 2, 3] } }]
      server.script(() => ({ _tag: "Reply", content, stopReason: "tool_use" }))
      const message = yield* Effect.promise(() => client(server).messages.stream(hello).finalMessage())
      assert.deepStrictEqual(JSON.parse(JSON.stringify(message.content)), content)
      assert.strictEqual(message.stop_reason, "tool_use")
    })
  )

  live("stops at max_tokens", (server) =>
    Effect.gen(function* () {
      server.script(() => reply("a".repeat(1000)))
      const message = yield* Effect.promise(() =>
        client(server)
          .messages.stream({ ...hello, max_tokens: 10 })
          .finalMessage()
      )
      assert.strictEqual(message.stop_reason, "max_tokens")
      assert.strictEqual(message.usage.output_tokens, 10)
    })
  )

  live("answers a schema with an example of it", (server) =>
    Effect.gen(function* () {
      const schema = {
        type: "object",
        additionalProperties: false,
        properties: {
          passed: { type: "boolean" },
          kind: { enum: ["a", "b"] },
          issues: { type: "array", items: { type: "string" } }
        }
      }
      const message = yield* Effect.promise(() =>
        client(server).messages.parse({ ...hello, output_config: { format: { type: "json_schema", schema } } })
      )
      const [block] = message.content
      assert.strictEqual(block?.type === "text" ? block.text : "", '{"passed":true,"kind":"a","issues":[]}')
    })
  )

  live("counts tokens and knows its models", (server) =>
    Effect.gen(function* () {
      const { messages, model } = hello
      const counted = yield* Effect.promise(() => client(server).messages.countTokens({ messages, model }))
      assert.strictEqual(counted.input_tokens, 2)
      const deprecated = yield* Effect.promise(() => client(server).models.retrieve("claude-sonnet-4-5"))
      assert.deepStrictEqual(
        [deprecated.lifecycle, deprecated.retires_at, deprecated.max_input_tokens],
        ["deprecated", "2026-11-30T00:00:00Z", 200_000]
      )
      const unknown = yield* apiError(() => client(server).models.retrieve("gpt-2"))
      assert.deepStrictEqual([unknown.status, unknown.type], [404, "not_found_error"])
      const all = yield* Effect.promise(() => client(server).models.list())
      assert.include(
        all.data.map(({ id }) => id),
        "claude-haiku-5-5"
      )
    })
  )

  live("writes a long marked prefix to its prompt cache once, and reads it from then on", (server) =>
    Effect.gen(function* () {
      const system = [
        { type: "text" as const, text: "rule ".repeat(500), cache_control: { type: "ephemeral" as const } }
      ]
      const usages = []
      for (let call = 0; call < 2; call++) {
        usages.push(
          (yield* Effect.promise(() =>
            client(server)
              .messages.stream({ ...hello, system })
              .finalMessage()
          )).usage
        )
      }
      assert.deepStrictEqual(
        usages.map((usage) => [usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens]),
        [
          [2, 625, 0],
          [2, 0, 625]
        ]
      )
      const short = [{ ...system[0], type: "text" as const, text: "short" }]
      const message = yield* Effect.promise(() => client(server).messages.create({ ...hello, system: short }))
      assert.strictEqual(message.usage.cache_creation_input_tokens, 0)
    })
  )

  for (const [what, extra, sentence] of [
    ["a temperature", { temperature: 1 }, /temperature: Extra inputs/],
    ["top_p", { top_p: 1 }, /top_p: Extra inputs/],
    ["top_k", { top_k: 1 }, /top_k: Extra inputs/],
    ["the old output_format", { output_format: {} }, /output_config\.format/],
    ["a field that there is not", { moonlight: 1 }, /moonlight: Extra inputs/],
    ["a forced tool call", { tools: [], tool_choice: { type: "any" } }, /tool_choice: "any" is not supported/],
    ["thinking that the model does not do", { thinking: { type: "enabled", budget_tokens: 2048 } }, /thinking\.type/],
    ["more output than the model has", { max_tokens: 200_000 }, /max_tokens: 200000 > 128000/],
    ["no messages", { messages: [] }, /at least one message/],
    ["an empty message", { messages: [{ role: "user", content: "" }] }, /non-empty content/],
    ["an effort that there is not", { output_config: { effort: "huge" } }, /output_config\.effort/],
    [
      "a schema of an open object",
      { output_config: { format: { type: "json_schema", schema: { type: "object" } } } },
      /additionalProperties/
    ],
    [
      "a prompt that is too long",
      { messages: [{ role: "user", content: "a".repeat(4_000_004) }] },
      /prompt is too long/
    ]
  ] as const) {
    live(`refuses ${what}`, (server) =>
      Effect.gen(function* () {
        const cause = yield* apiError(() => client(server).post("/v1/messages", { body: { ...hello, ...extra } }))
        assert.strictEqual(cause.status, 400)
        assert.strictEqual(cause.type, "invalid_request_error")
        assert.match(cause.apiMessage ?? "", sentence)
      })
    )
  }

  live(
    "refuses requests without a key, with a wrong one, or without a version",
    (server) =>
      Effect.gen(function* () {
        const wrong = yield* apiError(() => client(server, { apiKey: "wrong" }).messages.create(hello))
        assert.deepStrictEqual([wrong.status, wrong.type], [401, "authentication_error"])
        const none = yield* apiError(() =>
          client(server, { defaultHeaders: { authorization: null } }).messages.create(hello, {
            headers: { "x-api-key": "right" }
          })
        )
        assert.strictEqual(none.status, 401)
        const version = yield* apiError(() =>
          client(server).messages.create(hello, {
            headers: { "anthropic-version": null, authorization: "Bearer right" }
          })
        )
        assert.match(version.apiMessage ?? "", /anthropic-version/)
      }),
    { apiKey: "right" }
  )

  live("says of an error all that the API says", (server) =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Answer> = [
        error(429, { retryAfter: 7 }),
        error(429, { errorCode: "enforced_spend_limit_reached" }),
        error(402),
        error(529)
      ]
      server.script((_, n) => answers[n - 1])
      const limited = yield* apiError(() => client(server).messages.create(hello))
      assert.instanceOf(limited, RateLimitError)
      assert.strictEqual(limited.headers.get("retry-after"), "7")
      assert.match(limited.requestID ?? "", /^req_/)
      const spent = yield* apiError(() => client(server).messages.create(hello))
      assert.strictEqual(spent.errorCode, "enforced_spend_limit_reached")
      assert.instanceOf(yield* apiError(() => client(server).messages.create(hello)), PaymentRequiredError)
      assert.instanceOf(yield* apiError(() => client(server).messages.create(hello)), OverloadedError)
    })
  )

  live("breaks streams in each of the ways", (server) =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Answer> = [
        { _tag: "ErrorEvent", text: "half", type: "overloaded_error" },
        { _tag: "Drop", text: "half" },
        { _tag: "Drop", after: "nothing" },
        { _tag: "CleanEof", text: "half" }
      ]
      server.script((_, n) => answers[n - 1])
      const events: Array<string> = []
      const read = async () => {
        events.length = 0
        for await (const { type } of await client(server).messages.create({ ...hello, stream: true })) events.push(type)
      }
      const spoken = yield* apiError(read)
      assert.deepStrictEqual([spoken.status, spoken.type], [undefined, "overloaded_error"])
      assert.instanceOf(yield* failure(read), TypeError)
      assert.instanceOf(yield* failure(read), APIConnectionError)
      yield* Effect.promise(read)
      assert.strictEqual(events.at(-1), "content_block_stop")
    })
  )

  live("says nothing more when it stalls, and notices that the client went away", (server) =>
    Effect.gen(function* () {
      server.script(() => ({ _tag: "Stall", text: "half" }))
      const stream = yield* Effect.promise(() => client(server).messages.create({ ...hello, stream: true }))
      stream.controller.abort()
      yield* Effect.promise(() => server.until(({ journal }) => journal[0]?.aborted === true))
    })
  )

  live(
    "enforces its rate limits and states them",
    (server) =>
      Effect.gen(function* () {
        const { response } = yield* Effect.promise(() => client(server).messages.create(hello).withResponse())
        assert.strictEqual(response.headers.get("anthropic-ratelimit-requests-limit"), "1")
        assert.strictEqual(response.headers.get("anthropic-ratelimit-requests-remaining"), "0")
        assert.match(response.headers.get("anthropic-ratelimit-requests-reset") ?? "", /^\d{4}-\d\d-\d\dT[\d:]+Z$/)
        const limited = yield* apiError(() => client(server).messages.create(hello))
        assert.strictEqual(limited.status, 429)
        assert.strictEqual(limited.headers?.get("retry-after"), "60")
      }),
    { limits: { requestsPerMinute: 1 } }
  )

  live("fails as often as chaos wants, and always in the same order", () =>
    Effect.gen(function* () {
      const script = () => chaos({ rateLimited: 0.2, failing: 0.2, dropped: 0.2 }, () => reply("fine"))
      const run = (seen: ReturnType<typeof script>) =>
        Effect.promise(async () => {
          const tags: Array<string> = []
          const request = { id: 1, method: "POST", path: "/v1/messages", headers: {}, body: hello }
          for (let n = 1; n <= 1000; n++) tags.push((await seen(request, n))?._tag ?? "")
          return tags
        })
      const tags = yield* run(script())
      assert.deepStrictEqual(tags, yield* run(script()))
      const count = (tag: string) => tags.filter((other) => other === tag).length
      assert.isTrue(count("Error") > 330 && count("Error") < 470)
      assert.isTrue(count("Drop") > 140 && count("Drop") < 260)
    })
  )

  it.live("is a program as well, whose journal can be read", () =>
    Effect.gen(function* () {
      const program = fileURLToPath(new URL("server/main.ts", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [program, "--rate-500", "1"], { stdio: ["ignore", "pipe", "inherit"] })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const url = yield* Effect.promise(
        () =>
          new Promise<string>((resolve) => child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim())))
      )
      assert.strictEqual((yield* apiError(() => client({ url }).messages.create(hello))).status, 500)
      const journal = yield* Effect.promise(async (): Promise<ReadonlyArray<RequestSeen>> =>
        JSON.parse(await (await fetch(`${url}/_journal`)).text())
      )
      assert.deepStrictEqual(
        journal.map(({ body, path, status }) => ({ body, path, status })),
        [{ path: "/v1/messages", status: 500, body: hello }]
      )
    })
  )
})
