import { ClaudeClient, type MessageRequest } from "@baton/adapters/claude"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { about, request } from "./requests.ts"
import * as Server from "./server/server.ts"

/** Sends one request, and then all others, many at the same time, and returns the statuses that the server sent. */
const statuses = Effect.fnUntraced(function* (
  options: Server.Options,
  sent: ReadonlyArray<MessageRequest.MessageRequest>
) {
  const server = yield* Server.make(options)
  const [first, ...others] = sent
  yield* Effect.gen(function* () {
    const client = yield* ClaudeClient.ClaudeClient
    if (first !== undefined) yield* client.send(first, about())
    yield* Effect.forEach(others, (each) => client.send(each, about()), { concurrency: 16, discard: true })
  }).pipe(Effect.provide(ClaudeClient.layer({ apiKey: Redacted.make("key"), baseUrl: server.url })))
  return server.messages().map(({ status }) => status)
})

describe("a client of a server that enforces limits", () => {
  it.live.each([
    { what: "requests it may make", limits: { requestsPerMinute: 300 }, count: 306, text: "prompt" },
    { what: "input it may send", limits: { inputTokensPerMinute: 60_000 }, count: 67, text: "x".repeat(3600) }
  ])("learns from its answers how much there is of the $what, and is never turned away", ({ count, limits, text }) =>
    Effect.gen(function* () {
      const sent = Array.from({ length: count }, (_, index) => request(`${text} ${index}`))
      const seen = yield* statuses({ limits }, sent)
      assert.lengthOf(seen, count)
      assert.deepStrictEqual(new Set(seen), new Set([200]))
    })
  )
})
