import { assert, describe, it } from "@effect/vitest"
import { Effect, identity, Schema, Stream, SubscriptionRef } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { baton, folder, start } from "./baton.ts"

const Overview = Schema.Struct({
  queues: Schema.Array(Schema.Struct({ queue: Schema.String, completed: Schema.Int, pending: Schema.Int })),
  server: Schema.Struct({ readOnly: Schema.Boolean, role: Schema.String, name: Schema.optionalKey(Schema.String) })
})

const get = (url: string, token?: string) =>
  HttpClientRequest.get(url).pipe(
    token === undefined ? identity : HttpClientRequest.bearerToken(token),
    HttpClient.execute,
    Effect.orDie,
    Effect.provide(FetchHttpClient.layer)
  )

const overview = (url: string) =>
  Effect.orDie(Effect.flatMap(get(`${url}/api/queues`), HttpClientResponse.schemaBodyJson(Overview)))

/** Starts a server on a free port and returns its URL. */
const serve = Effect.fnUntraced(function* (cwd: string, args: ReadonlyArray<string> = []) {
  const running = yield* start(cwd, ["serve", "--port", "0", ...args])
  const [, url = ""] = yield* running.printed(/Serving at (\S+?)\.? /)
  return { ...running, url }
})

/** Listens to the events; the result waits until they contain a text. */
const listen = Effect.fnUntraced(function* (url: string) {
  const events = yield* SubscriptionRef.make("")
  const response = yield* get(`${url}/api/events`)
  yield* response.stream.pipe(
    Stream.decodeText,
    Stream.runForEach((text) => SubscriptionRef.update(events, (before) => before + text)),
    Effect.ignore,
    Effect.forkScoped
  )
  return (text: string | RegExp) =>
    SubscriptionRef.changes(events).pipe(
      Stream.filter((all) => (typeof text === "string" ? all.includes(text) : text.test(all))),
      Stream.runHead
    )
})

describe("baton serve", () => {
  it.live("serves the queue of --queue alone, and refuses one that does not exist", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("words.txt", "one\ntwo\n")
      dir.write("names.txt", "Emma\n")
      yield* baton(dir.path, ["import", "words.txt", "names.txt"])
      const server = yield* serve(dir.path, ["--queue", "names"])
      assert.deepStrictEqual((yield* overview(server.url)).queues, [{ queue: "names", completed: 0, pending: 1 }])
      const refused = yield* baton(dir.path, ["serve", "--port", "0", "--queue", "nams"])
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, "There is no queue nams in this store.")
    }).pipe(Effect.scoped)
  )

  it.live("shows the runs of other processes, and ends on SIGTERM while a client is connected", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("words.txt", "one\ntwo\n")
      yield* baton(dir.path, ["import", "words.txt"])
      const server = yield* serve(dir.path)
      const events = yield* listen(server.url)
      yield* events('"pending":2')
      yield* baton(dir.path, ["run", "--exec", "wc -w", "--no-verify"])
      yield* events('"completed":2')
      assert.deepStrictEqual(yield* overview(server.url), {
        queues: [{ queue: "words", completed: 2, pending: 0 }],
        server: { readOnly: false, role: "operate" }
      })
      yield* server.kill("SIGTERM")
      assert.strictEqual((yield* server.ended).code, 143)
    })
  )

  it.live("serves a page that lists the API, and a demo run that needs no store", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { url } = yield* serve(dir.path, ["--demo", "--read-only"])
      const page = yield* get(url)
      assert.strictEqual(page.status, 200)
      assert.include(page.headers["content-security-policy"], "frame-ancestors 'none'")
      const { queues, server } = yield* overview(url)
      assert.deepStrictEqual(
        queues.map(({ queue }) => queue),
        ["summaries", "translations"]
      )
      assert.isTrue(server.readOnly)
      yield* (yield* listen(url))(/"in_review":[1-9]/)
      assert.deepStrictEqual(dir.entries(), [])
    })
  )

  it.live("requires one of its tokens, with the role for the request", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write(
        "token.txt",
        "# for everybody\nview   a-token-to-view-with  Ann  Lee\n\na-token-of-30-characters-abcde\n"
      )
      const { url } = yield* serve(dir.path, ["--demo", "--host", "0.0.0.0", "--token-file", "token.txt"])
      const api = `${url.replace("0.0.0.0", "127.0.0.1")}/api/queues`
      assert.strictEqual((yield* get(api)).status, 401)
      assert.strictEqual((yield* get(api, "another-token-of-30-characters")).status, 401)
      const callerOf = (token: string) =>
        Effect.flatMap(get(api, token), HttpClientResponse.schemaBodyJson(Overview)).pipe(
          Effect.map(({ server: { name, role } }) => [role, name])
        )
      assert.deepStrictEqual(yield* callerOf("a-token-of-30-characters-abcde"), ["operate", undefined])
      assert.deepStrictEqual(yield* callerOf("a-token-to-view-with"), ["view", "Ann Lee"])
    })
  )

  it.live("says what to type when it cannot start", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("short.txt", "abc\n")
      dir.write("role.txt", "view a-token-of-30-characters-abcde\nadmin another-token-of-30-characters\n")
      dir.write("empty.txt", "# no token\n")
      const { url } = yield* serve(dir.path, ["--demo"])
      const port = new URL(url).port
      const cases = [
        [["--port", port], `Another process uses port ${port} of 127.0.0.1. Choose another port, as in --port`],
        [["--host", "0.0.0.0"], "add --token-file token.txt"],
        [["--host", "192.0.2.1", "--token-file", "missing.txt"], '--token-file is "missing.txt", which does not exist'],
        [["--token-file", "short.txt"], "Line 1 of the file of --token-file has no token of at least 16 characters."],
        [["--token-file", "role.txt"], "Line 2 of the file of --token-file begins with an unknown role"],
        [["--token-file", "empty.txt"], "The file of --token-file contains no token."],
        [["--port", "70000"], "it takes a port from 0 to 65535"]
      ] as const
      for (const [args, message] of cases) {
        const { code, stderr } = yield* baton(dir.path, ["serve", "--demo", ...args])
        assert.strictEqual(code, 1)
        assert.include(stderr, message)
      }
    })
  )
})
