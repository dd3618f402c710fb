import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { type BatchRequest, fromSdk } from "../../src/claude/internal/batches/batchApi.ts"
import { bytesOf } from "../../src/claude/internal/batches/batchBody.ts"
import * as Sdk from "../../src/claude/internal/sdk.ts"
import { workersOf } from "./batches/run.ts"
import { request } from "./requests.ts"
import * as Server from "./server/server.ts"

const apiOf = ({ url }: { readonly url: string }) =>
  Effect.map(Sdk.make({ apiKey: Redacted.make("key"), baseUrl: url }), fromSdk)

const sum = (requests: ReadonlyArray<BatchRequest>) => requests.reduce((bytes, request) => bytes + bytesOf(request), 0)

interface Created {
  readonly bytes: number
  readonly ids: ReadonlyArray<string>
}

/** A server that counts the bytes and the custom ids of batches, and keeps nothing else. They never end. */
const startCounting = async () => {
  const created: Array<Created> = []
  let cuts = 0
  const show = ({ ids }: Created) => ({
    id: ids[0],
    processing_status: "in_progress",
    created_at: new Date().toISOString(),
    request_counts: { processing: ids.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
    results_url: null
  })
  const server = createServer((request, response) => {
    const ids: Array<string> = []
    let bytes = 0
    let rest = ""
    request.on("error", () => {})
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      if (cuts > 0 && bytes > 1_000_000) {
        cuts--
        request.destroy()
      }
      const text = rest + chunk.toString("latin1")
      const ended = [...text.matchAll(/"custom_id":"([^"]+)"/g)]
      for (const [, id = ""] of ended) ids.push(id)
      // The beginning of an id can be at the end of a chunk.
      const last = ended.at(-1)
      rest = text.slice(Math.max(text.length - 100, last === undefined ? 0 : last.index + last[0].length))
    })
    request.on("end", () => {
      const batch = { bytes, ids }
      const known = created.find(({ ids }) => request.url?.endsWith(ids[0] ?? "") === true)
      if (request.method === "POST") created.push(batch)
      const answer =
        request.method === "POST"
          ? show(batch)
          : known === undefined
            ? { data: created.map(show), has_more: false, last_id: null }
            : show(known)
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    created,
    /** Breaks the connection after a megabyte of the next batch. */
    cutNext: () => void cuts++,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

const countingServer = Effect.acquireRelease(Effect.promise(startCounting), ({ stop }) => Effect.promise(stop))

/** Lets the server work, and time pass in steps, until a condition holds. */
const until = (step: Duration.Input, condition: () => boolean) =>
  Effect.repeat(
    Effect.andThen(
      Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))),
      TestClock.adjust(step)
    ),
    { until: condition }
  )

const idsIn = ({ created }: Effect.Success<typeof countingServer>) => created.flatMap(({ ids }) => ids)

describe("a batch", () => {
  it.live("asks for the beta of long answers only when a request needs it", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const api = yield* apiOf(server)
      const create = (max_tokens: number) => {
        const requests = [{ custom_id: "a", params: request("Hello", { max_tokens }) }]
        return Effect.exit(api.create(requests, sum(requests)))
      }
      yield* create(128_000)
      yield* create(300_000)
      assert.deepStrictEqual(
        server.journal.map(({ headers }) => headers["anthropic-beta"]),
        [undefined, "output-300k-2026-03-24"]
      )
    })
  )

  it.live("has its requests unchanged, of any size and with any text, and states its length", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const api = yield* apiOf(server)
      const texts = ["", "ü🥐".repeat(100_000), 'a "quoted"\n\\ text', "\ud800", "z".repeat(65_536), "end"]
      const requests = texts.map((text, n) => ({ custom_id: `id-${n}`, params: request(text) }))
      yield* api.create(requests, sum(requests))
      const [seen] = server.journal
      assert.deepStrictEqual(seen?.body, { requests })
      const length = Buffer.byteLength(JSON.stringify({ requests }))
      assert.deepInclude(seen?.headers, { "content-type": "application/json", "content-length": String(length) })
    })
  )
})

describe("a large batch", () => {
  it.effect("has up to 256 MB, and the requests that do not fit are in the next one", () =>
    Effect.gen(function* () {
      const server = yield* countingServer
      const { looked, start } = yield* workersOf(yield* apiOf(server))
      const { ask } = yield* start()
      const prompt = "x".repeat(30_000_000)
      const ids = Array.from({ length: 9 }, (_, n) => `task-${n}`)
      yield* Effect.forEach(ids, (id) => ask(prompt, { id }))
      yield* until(0, () => looked() === 9)
      yield* until("1 second", () => idsIn(server).length === 9)
      const [first, second] = server.created
      assert.deepStrictEqual([first?.ids.length, second?.ids.length], [8, 1])
      assert.lengthOf(new Set(idsIn(server)), 9)
      assert.isAbove(first?.bytes ?? 0, 240_000_000)
      assert.isAtMost(first?.bytes ?? 0, 256_000_000)
    })
  )

  it.effect("whose upload breaks off is sent again, complete", () =>
    Effect.gen(function* () {
      const server = yield* countingServer
      const { looked, start } = yield* workersOf(yield* apiOf(server))
      const { ask } = yield* start()
      server.cutNext()
      const prompt = "x".repeat(1_000_000)
      yield* Effect.forEach(["a", "b", "c"], (id) => ask(prompt, { id }))
      yield* until(0, () => looked() === 3)
      yield* until("1 second", () => idsIn(server).length === 3)
      assert.lengthOf(server.created, 1)
      assert.lengthOf(new Set(idsIn(server)), 3)
      assert.isAbove(server.created[0]?.bytes ?? 0, 3_000_000)
    })
  )
})
