import { PostgresTaskStore } from "@baton/adapters/postgres"
import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isMissing } from "../../../packages/adapters/test/postgres/postgres.ts"
import { database, folder, freePort } from "../../../packages/adapters/test/workflow/servers.ts"
import { Publications, Reports, Summaries } from "../../nightly-report/queues.ts"
import { firstOf } from "../tasks.ts"

const main = fileURLToPath(new URL("../../nightly-report/main.ts", import.meta.url))

/** Pages to report on. */
const site = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer(({ url }, response) => response.end(`About ${url ?? ""}. More.`))
    await once(server.listen(0, "127.0.0.1"), "listening")
    return server
  }),
  (server) => Effect.sync(() => server.close().closeAllConnections())
).pipe(
  Effect.map((server) => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })
)

/** Starts a runner, which is killed with the scope, and returns what kills it. */
const runner = Effect.fnUntraced(function* (cwd: string, env: Readonly<Record<string, string>>) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [main], { cwd, env: { ...process.env, ...env }, stdio: "ignore" })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return Effect.promise(async () => {
    child.kill("SIGKILL")
    if (child.signalCode === null) await once(child, "exit")
  })
})

describe("nightly-report on PostgreSQL", () => {
  it.live.skipIf(isMissing)("publishes one report of all pages when one of two runners is killed", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const url = yield* database
      const env = { DATABASE_URL: url, SITE: yield* site }
      const between = Effect.sleep("50 millis")
      const [kill] = yield* Effect.all([
        runner(directory, { ...env, PORT: String(yield* freePort) }),
        runner(directory, { ...env, PORT: String(yield* freePort) })
      ])
      yield* Effect.gen(function* () {
        const store = yield* TaskStore.TaskStore
        yield* firstOf(Summaries.name, "completed", { between })
        yield* kill
        const draft = yield* firstOf(Reports.name, "in_review", { between })
        yield* Effect.flatMap(Effect.fromNullishOr(store.reviews), ({ decide }) =>
          decide([{ _tag: "Approve", taskId: draft.id, by: "ann" }])
        )
        yield* firstOf(Publications.name, "completed", { between })
        const [file = "", ...others] = readdirSync(directory)
        assert.deepStrictEqual(others, [])
        assert.match(file, /^report-\d{4}-\d\d-\d\d\.md$/)
        assert.strictEqual(readFileSync(join(directory, file), "utf8").split("\n").length, 51)
        // The killed runner may have executed tasks whose results it had not saved. No saved result was made again.
        const { tasks } = yield* store.list({ queue: Summaries.name })
        assert.strictEqual(tasks.length, 50)
        for (const { id } of tasks) {
          const outcomes = (yield* store.attempts(id)).map(({ outcome }) => outcome)
          assert.strictEqual(outcomes.indexOf("completed"), outcomes.length - 1)
        }
        assert.strictEqual((yield* store.counts).completed, 102)
      }).pipe(Effect.provide(Layer.fresh(PostgresTaskStore.layer({ url })), { local: true }))
    })
  )
})
