import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import { baton, folder, list } from "./baton.ts"

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: unknown
}

/** A server with the REST interface of GitHub's issues. */
const github = (answer: (url: URL, authorization: string | undefined, base: string) => Answer) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly asked: Array<URL>; readonly stop: () => void }>((resume) => {
      const asked: Array<URL> = []
      let base = ""
      const server = createServer((request, response) => {
        const url = new URL(request.url ?? "", base)
        asked.push(url)
        const { body, headers, status } = answer(url, request.headers.authorization, base)
        response
          .writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers })
          .end(JSON.stringify(body))
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        base = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
        resume(
          Effect.succeed({
            url: base,
            asked,
            stop: () => {
              server.close()
              server.closeAllConnections()
            }
          })
        )
      })
    }),
    ({ stop }) => Effect.sync(stop)
  )

const issue = (number: number, more: object = {}) => ({
  number,
  title: `Title ${number}`,
  body: `Body ${number}`,
  html_url: `https://github.com/acme/site/issues/${number}`,
  labels: [{ name: "bug", color: "red" }],
  user: { login: "octocat", id: 1 },
  state: "open",
  ...more
})

/** Two pages, with a pull request among the issues. */
const twoPages = (url: URL, _: string | undefined, base: string): Answer =>
  url.searchParams.get("page") === "2"
    ? { status: 200, body: [issue(3, { body: null })] }
    : {
        status: 200,
        headers: { link: `<${base}/repositories/1/issues?page=2>; rel="next", <${base}/x?page=2>; rel="last"` },
        body: [issue(1), issue(2, { pull_request: { url: "x" } })]
      }

/** A test of the built program, in its own folder, with a server in place of GitHub. */
const live = (
  name: string,
  answer: Parameters<typeof github>[0],
  test: (dir: Effect.Success<typeof folder>, server: Effect.Success<ReturnType<typeof github>>) => Effect.Effect<void>
) => it.live(name, () => Effect.flatMap(Effect.all([folder, github(answer)]), ([dir, server]) => test(dir, server)))

const run = (
  dir: Effect.Success<typeof folder>,
  { url }: Effect.Success<ReturnType<typeof github>>,
  source: string,
  options: { readonly args?: ReadonlyArray<string>; readonly env?: Record<string, string> } = {}
) =>
  baton(dir.path, ["run", source, "--exec", "cat", "--no-verify", ...(options.args ?? [])], {
    GITHUB_API_URL: url,
    ...options.env
  })

const source = "github:acme/site?label=bug&label=urgent&state=all"

describe("GitHub issues as a source", () => {
  live("are a task each, over all pages, without pull requests", twoPages, (dir, server) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(dir, server, source)
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ description, id }) => [id, description]),
        [
          ["1", "Title 1\n\nBody 1"],
          ["3", "Title 3"]
        ]
      )
      assert.deepStrictEqual(
        server.asked.map(({ pathname, searchParams }) => [
          pathname,
          searchParams.get("labels"),
          searchParams.get("state"),
          searchParams.get("page")
        ]),
        [
          ["/repos/acme/site/issues", "bug,urgent", "all", "1"],
          ["/repos/acme/site/issues", "bug,urgent", "all", "2"]
        ]
      )
    })
  )

  live("render a template, and keep their fields as metadata", twoPages, (dir, server) =>
    Effect.gen(function* () {
      const template = ["--template", "Fix #{{number}}: {{title}}"]
      yield* run(dir, server, source, { args: template })
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ description }) => description),
        ["Fix #1: Title 1", "Fix #3: Title 3"]
      )
      const { stdout } = yield* baton(dir.path, ["export", "--format", "csv"])
      assert.include(stdout, "https://github.com/acme/site/issues/1")
    })
  )

  live(
    "are read with the token from the environment",
    (url, authorization, base) =>
      authorization === "Bearer s3cret"
        ? twoPages(url, authorization, base)
        : { status: 401, body: { message: "Bad" } },
    (dir, server) =>
      Effect.gen(function* () {
        const refused = yield* run(dir, server, source, { env: { GITHUB_TOKEN: "wr0ng" } })
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, `${source}: cannot be read: GitHub does not accept the token`)
        assert.notInclude(refused.stderr, "wr0ng")
        assert.strictEqual((yield* run(dir, server, source, { env: { GITHUB_TOKEN: "s3cret" } })).code, 0)
      })
  )

  live(
    "of an unknown repository are refused",
    () => ({ status: 404, body: { message: "Not Found" } }),
    (dir, server) =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run(dir, server, "github:acme/nothere")
        assert.strictEqual(code, 1)
        assert.include(
          stderr,
          "github:acme/nothere: does not exist, or is private; for a private repository, set GITHUB_TOKEN"
        )
      })
  )

  live(
    "say when the rate limit ends",
    () => ({
      status: 403,
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1798000000" },
      body: { message: "API rate limit exceeded" }
    }),
    (dir, server) =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run(dir, server, source)
        assert.strictEqual(code, 1)
        assert.include(stderr, "the rate limit of GitHub is used up. Try again after 2026-12-23 ")
        assert.include(stderr, "With a token in GITHUB_TOKEN, the limit is higher.")
      })
  )

  live("are refused if the source is misspelt", twoPages, (dir, server) =>
    Effect.gen(function* () {
      assert.include((yield* run(dir, server, "github:acme")).stderr, "write github:OWNER/REPO")
      const unknown = yield* run(dir, server, "github:acme/site?labels=bug")
      assert.include(unknown.stderr, 'has an unknown parameter "labels"; the parameters are label, state')
      assert.deepStrictEqual(server.asked, [])
    })
  )
})
