import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { isMissing, schema, url } from "../../packages/adapters/test/postgres/postgres.ts"

const main = fileURLToPath(new URL("../embed-in-http-app/main.ts", import.meta.url))
const perRequest = 20
const language = "German"
/** The exit code of `NodeRuntime` after a signal. */
const interrupted = 130

/** Starts the app on a free port; resolves when it listens. */
const start = async (databaseUrl: string) => {
  const app = spawn(process.execPath, [main], {
    env: { ...process.env, DATABASE_URL: databaseUrl, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const lines: Array<string> = []
  for await (const line of createInterface({ input: app.stdout })) {
    lines.push(line)
    const port = /Listening on \S+:(\d+)/.exec(line)?.[1]
    if (port !== undefined) {
      app.stdout.resume()
      return { app, url: `http://127.0.0.1:${port}`, port: Number(port) }
    }
  }
  throw new Error(`The app ended before it listened:\n${lines.join("\n")}`)
}

const stop = async (app: ChildProcess): Promise<number | null> => {
  if (app.exitCode === null) {
    const ended = once(app, "exit")
    app.kill("SIGTERM")
    await ended
  }
  return app.exitCode
}

const addArticle = (url: string, id: string) =>
  fetch(`${url}/articles`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id, text: `Article ${id}. The rest of it.`, language })
  })

/** A client of the live events that reads nothing after the first bytes. */
const stalledClient = async (port: number): Promise<Socket> => {
  const socket = connect(port, "127.0.0.1")
  socket.on("error", () => {})
  socket.write(`GET /baton/api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  await once(socket, "readable")
  return socket
}

/** Stops the app while it is adding and doing work, and reads all results from its next start. */
const restartUnderLoad = async (databaseUrl: string) => {
  const first = await start(databaseUrl)
  const stalled = await stalledClient(first.port)
  const accepted: Array<string> = []
  const adding = (async () => {
    for (let round = 0; first.app.exitCode === null; round++) {
      const ids = Array.from({ length: perRequest }, (_, index) => `${round}-${index}`)
      const responses = await Promise.allSettled(ids.map((id) => addArticle(first.url, id)))
      responses.forEach((response, index) => {
        if (response.status === "fulfilled" && response.value.ok) accepted.push(ids[index] ?? "")
      })
      if (responses.some(({ status }) => status === "rejected")) return
    }
  })()
  const response = await fetch(`${first.url}/articles/0-0/translation`)
  // It is added by the loop above, so the first request may be too early.
  assert.include([200, 404], response.status)
  while (accepted.length < 5 * perRequest) await Promise.race([adding, new Promise(setImmediate)])
  assert.strictEqual(await stop(first.app), interrupted)
  await adding
  stalled.destroy()

  const second = await start(databaseUrl)
  try {
    for (const id of accepted) {
      const translated = await fetch(`${second.url}/articles/${id}/translation`)
      assert.strictEqual(translated.status, 200, id)
      assert.strictEqual(await translated.json(), `[${language}] Article ${id}`)
    }
    const { queues } = (await (await fetch(`${second.url}/baton/api/queues`)).json()) as {
      queues: ReadonlyArray<{ queue: string; failed: number }>
    }
    assert.deepStrictEqual(queues.map(({ queue }) => queue).toSorted(), ["summaries", "translations"])
    assert.isTrue(queues.every(({ failed }) => failed === 0))
  } finally {
    await stop(second.app)
  }
}

describe.skipIf(isMissing)("the app on PostgreSQL", () => {
  it.live("ends on SIGTERM while it works and a client stalls, and goes on after its next start", () =>
    Effect.gen(function* () {
      const databaseUrl = new URL(url)
      databaseUrl.searchParams.set("schema", yield* schema())
      yield* Effect.promise(() => restartUnderLoad(databaseUrl.href))
    })
  )
})
