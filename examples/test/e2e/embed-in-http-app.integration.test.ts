import { BatonApi } from "@baton/adapters/http"
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Fiber, Latch } from "effect"
import { FetchHttpClient } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { isMissing, schema, url } from "../../../packages/adapters/test/postgres/postgres.ts"
import { Api } from "../../embed-in-http-app/Api.ts"

const main = fileURLToPath(new URL("../../embed-in-http-app/main.ts", import.meta.url))
const perRound = 8
/** The exit code of `NodeRuntime` after a signal. */
const interrupted = 130

const listening = async (output: NodeJS.ReadableStream): Promise<number> => {
  const lines: Array<string> = []
  for await (const line of createInterface({ input: output })) {
    lines.push(line)
    const port = /Listening on \S+:(\d+)/.exec(line)?.[1]
    if (port !== undefined) return Number(port)
  }
  throw new Error(`The app ended before it listened:\n${lines.join("\n")}`)
}

/** Starts the app on a free port; it is killed with the scope. */
const start = Effect.fnUntraced(function* (databaseUrl: string) {
  const app = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [main], {
        env: { ...process.env, DATABASE_URL: databaseUrl, PORT: "0" },
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (app) => Effect.sync(() => app.kill("SIGKILL"))
  )
  const ended = once(app, "exit")
  const port = yield* Effect.promise(() => listening(app.stdout))
  app.stdout.resume()
  const baseUrl = `http://127.0.0.1:${port}`
  return {
    port,
    articles: (yield* HttpApiClient.make(Api, { baseUrl })).articles,
    baton: yield* HttpApiClient.make(BatonApi.Api, { baseUrl: `${baseUrl}/baton` }),
    stop: Effect.promise(async () => {
      app.kill("SIGTERM")
      await ended
      return app.exitCode
    })
  }
})

/** A client of the live events that reads nothing after the first bytes. */
const stalledClient = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => {})
      socket.write(`GET /baton/api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      await once(socket, "readable")
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe.skipIf(isMissing)("the app on PostgreSQL", () => {
  it.live("ends on SIGTERM while it works and a client stalls, and continues after its next start", () =>
    Effect.gen(function* () {
      const databaseUrl = new URL(url)
      databaseUrl.searchParams.set("schema", yield* schema())
      const first = yield* start(databaseUrl.href)
      yield* stalledClient(first.port)
      const added: Array<string> = []
      let next = 0
      const isBusy = Latch.makeUnsafe(false)
      const add = Effect.fnUntraced(function* (id: string) {
        yield* first.articles.add({ payload: { id, text: `Article ${id}. The rest of it.`, language: "German" } })
        if (added.push(id) >= 5 * perRound) yield* isBusy.open
      })
      // Until the app refuses connections.
      const adding = yield* Effect.forkChild(
        Effect.forever(
          Effect.forEach(Array.range(1, perRound), () => add(`article-${next++}`), {
            concurrency: perRound
          })
        ).pipe(Effect.ignore)
      )
      yield* isBusy.await
      assert.strictEqual(yield* first.stop, interrupted)
      yield* Fiber.join(adding)

      const second = yield* start(databaseUrl.href)
      yield* Effect.forEach(
        added,
        Effect.fnUntraced(function* (id) {
          assert.strictEqual(yield* second.articles.translation({ params: { id } }), `[German] Article ${id}`)
        }),
        { concurrency: 8 }
      )
      const { queues } = yield* second.baton.queues()
      assert.deepStrictEqual(
        queues.map(({ failed, queue }) => [queue, failed]),
        [
          ["summaries", 0],
          ["translations", 0]
        ]
      )
      assert.strictEqual(yield* second.stop, interrupted)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
