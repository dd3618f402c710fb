import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { fromSdk } from "../../src/claude/internal/batches/batchApi.ts"
import * as Sdk from "../../src/claude/internal/sdk.ts"
import { request } from "./requests.ts"
import * as Server from "./server/server.ts"

describe("a batch", () => {
  it.live("asks for the beta of long answers only when a request needs it", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const api = fromSdk(yield* Sdk.make({ apiKey: Redacted.make("key"), baseUrl: server.url }))
      const create = (max_tokens: number) =>
        Effect.exit(api.create([{ custom_id: "a", params: request("Hello", { max_tokens }) }]))
      yield* create(128_000)
      yield* create(300_000)
      assert.deepStrictEqual(
        server.journal.map(({ headers }) => headers["anthropic-beta"]),
        [undefined, "output-300k-2026-03-24"]
      )
    })
  )
})
