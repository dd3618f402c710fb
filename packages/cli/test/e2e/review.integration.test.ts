import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import { lastText } from "../../../adapters/test/claude/server/message.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import * as Postgres from "../../../adapters/test/postgres/postgres.ts"
import { executablePath, launch, openAlone, visit } from "../../../dashboard/test/browser.ts"
import { baton, folder, start } from "./baton.ts"

const stores: ReadonlyArray<readonly [string, boolean, Effect.Effect<string, unknown, Scope.Scope>]> = [
  ["SQLite", false, Effect.succeed("sqlite:reviews.db")],
  [
    "PostgreSQL",
    Postgres.isMissing,
    Effect.map(Postgres.schema(), (schema) => {
      const url = new URL(Postgres.url)
      url.searchParams.set("schema", schema)
      return url.href
    })
  ]
]

const decodeTasks = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Array(Schema.Struct({ status: Schema.String, result: Schema.optionalKey(Schema.String) }))
  )
)

const post = (url: string, body: object) =>
  HttpClientRequest.post(`${url}/api/reviews`).pipe(
    HttpClientRequest.bodyJsonUnsafe(body),
    HttpClient.execute,
    Effect.orDie,
    Effect.provide(FetchHttpClient.layer)
  )

/** Types a comment at the review desk, or posts it. */
const reject = (url: string, comment: string, isTyped: boolean): Effect.Effect<unknown> =>
  !isTyped
    ? post(url, { id: "notes/1", decision: "reject", comment })
    : Effect.acquireUseRelease(
        Effect.promise(launch),
        (browser) =>
          Effect.promise(async () => {
            const { page } = await openAlone(browser)
            await visit(page, `${url}/review`)
            await page.getByRole("button", { name: "Reject r" }).click()
            await page.getByRole("textbox", { name: "Feedback for the next attempt" }).fill(comment)
            await page.keyboard.press("Control+Enter")
            await page.getByText("Rejected notes/1.").waitFor()
          }),
        (browser) => Effect.promise(() => browser.close())
      )

describe("outputs that wait for a person", () => {
  for (const [name, isMissing, makeStore] of stores) {
    // The browser sends the same requests for every store.
    const isTyped = executablePath !== undefined && name === "SQLite"
    const where = isTyped ? "typed in the browser" : "posted to the server"
    it.live.skipIf(isMissing)(
      `a comment ${where} is in the request of the next attempt, character by character (${name})`,
      () =>
        Effect.gen(function* () {
          const store = yield* makeStore
          const dir = yield* folder
          dir.write("notes.csv", "id,prompt\n1,Write the release notes.\n")
          const claude = yield* Server.make({
            script: ({ body }) => reply(lastText(body).includes("Parquet") ? "Second draft" : "First draft")
          })
          const env = { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: claude.url }
          const at = ["--store", store]
          yield* baton(dir.path, ["import", "notes.csv", ...at])
          const worker = yield* start(
            dir.path,
            [
              "worker",
              "--queue",
              "notes",
              "--executor",
              "claude",
              "--review",
              "all",
              "--no-verify",
              "--output",
              "ndjson",
              ...at
            ],
            env
          )
          yield* worker.event("TaskInReview")
          const server = yield* start(dir.path, ["serve", "--port", "0", ...at])
          const [, url = ""] = yield* server.printed(/Serving at (\S+?)\.? /)

          const comment = 'Say "Parquet" first.\n\n  Then <b>the rest</b>, {{id}} & all – 🦊.'
          const id = "notes/1"
          yield* reject(url, comment, isTyped)
          yield* worker.event("TaskInReview")
          const requests = claude.messages()
          assert.strictEqual(requests.length, 2)
          assert.include(lastText(requests[1]?.body), comment)
          assert.include(JSON.stringify(requests[1]?.body), "First draft")

          assert.strictEqual((yield* post(url, { id, decision: "approve", by: "ann" })).status, 200)
          const late = yield* post(url, { id, decision: "reject", comment: "No.", by: "bob" })
          assert.strictEqual(late.status, 409)
          assert.include(yield* Effect.orDie(late.text), "ann has already approved this output")
          const { stdout } = yield* baton(dir.path, ["list", "--json", ...at])
          assert.deepStrictEqual(decodeTasks(stdout), [{ status: "completed", result: "Second draft" }])
        })
    )
  }

  it.live("end a run with exit code 4, and are decided about in scripts", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("words.csv", "id,prompt\n1,one\n2,two\n3,three\n")
      dir.write("better.txt", "a better text")
      const run = yield* baton(dir.path, ["run", "words.csv", "--exec", "cat", "--no-verify", "--review", "all"])
      assert.strictEqual(run.code, 4, run.stderr)
      assert.include(run.stderr, "3 tasks wait for review")
      const bare = yield* baton(dir.path, ["review"])
      assert.strictEqual(bare.code, 1)
      assert.include(bare.stderr, "3 outputs wait for review, but there is no terminal")
      const approved = yield* baton(dir.path, ["review", "approve", "1", "--by", "ann"])
      assert.strictEqual(approved.stdout, "1: approved.\n")
      yield* baton(dir.path, ["review", "edit", "2", "--file", "better.txt"])
      yield* baton(dir.path, ["review", "reject", "3", "--comment", "Longer.", "--give-up"])
      const late = yield* baton(dir.path, ["review", "reject", "1", "--comment", "No.", "--by", "bob"])
      assert.strictEqual(late.code, 1)
      assert.include(late.stderr, "ann has already approved 1")
      const { stdout } = yield* baton(dir.path, ["list", "--json"])
      assert.deepStrictEqual(decodeTasks(stdout), [
        { status: "completed", result: "one" },
        { status: "completed", result: "a better text" },
        { status: "failed" }
      ])
    })
  )
})
