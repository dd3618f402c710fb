import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { baton, folder, program } from "./baton.ts"

const Results = Schema.Struct({
  results: Schema.Array(Schema.Struct({ result: Schema.Struct({ text: Schema.String }) }))
})

/** The official SDK's client of `baton mcp`, which it starts. */
const connect = Effect.fnUntraced(function* (cwd: string, args: ReadonlyArray<string> = []) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program, "mcp", ...args],
    cwd,
    stderr: "pipe"
  })
  let stderr = ""
  transport.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
  const client = new Client({ name: "sdk", version: "1.0.0" })
  yield* Effect.acquireRelease(
    Effect.promise(() => client.connect(transport)),
    () => Effect.promise(() => client.close())
  )
  const result = (name: string, args: Record<string, unknown>) =>
    Effect.tryPromise(() => client.callTool({ name, arguments: args })).pipe(
      Effect.mapError(({ cause }) => String(cause))
    )
  const call = (name: string, args: Record<string, unknown>) =>
    Effect.map(result(name, args), ({ structuredContent }) => structuredContent)
  return { call, result, stderr: () => stderr }
})

describe("baton mcp", () => {
  it.live("lets an agent add 50 tasks once, wait for a worker and read 50 results, but not decide", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { call, stderr } = yield* connect(dir.path)
      const tasks = Array.from({ length: 50 }, (_, index) => ({ description: `word ${index}` }))
      const add = call("add_tasks", { queue: "words", tasks })
      assert.deepInclude(yield* add, { added: 50, existing: 0 })
      assert.deepInclude(yield* add, { added: 0, existing: 50 })
      // The same task has the same id for any caller.
      const again = yield* baton(dir.path, ["add", "word 7", "--queue", "words"])
      assert.include(again.stderr, "already exists")

      const run = yield* Effect.forkChild(
        baton(dir.path, ["run", "--queue", "words", "--exec", "tr a-z A-Z", "--no-verify"])
      )
      assert.deepInclude(yield* call("wait_for_tasks", { queue: "words", timeoutSeconds: 55 }), {
        done: true,
        completed: 50
      })
      yield* Fiber.join(run)
      const read = yield* call("read_results", { queue: "words" })
      const { results } = Schema.decodeUnknownSync(Results)(read)
      assert.deepStrictEqual(
        results.map(({ result }) => result.text.trim()),
        tasks.map(({ description }) => description.toUpperCase())
      )
      const refused = yield* Effect.flip(call("decide_review", { id: "words/1", decision: "approve" }))
      assert.include(refused, "To let agents decide, start the server with --allow review.")
      assert.strictEqual(stderr(), "")
    })
  )

  it.live("allows what --allow and --read-only say, in the queue of --queue, and ends with its client", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      yield* baton(dir.path, ["add", "one", "--queue", "names"])
      const allowed = yield* connect(dir.path, ["--queue", "books", "--allow", "budget"])
      assert.deepInclude(yield* allowed.call("add_tasks", { tasks: [{ description: "one" }] }), { added: 1 })
      assert.deepInclude(yield* allowed.call("get_progress", {}), { control: { paused: false, stops: 0 } })
      assert.deepInclude(yield* allowed.call("list_tasks", {}), { total: 1 })
      yield* allowed.call("set_budget", { queue: "books", maxCostUsd: 1 })
      for (const [tool, change] of [
        ["add_tasks", { queue: "names", tasks: [{ description: "two" }] }],
        ["set_budget", { queue: "names", maxCostUsd: 1 }]
      ] as const) {
        const { content, isError } = yield* allowed.result(tool, change)
        assert.isTrue(isError)
        assert.include(JSON.stringify(content), "is not among the queues that can be changed here")
      }
      const looking = yield* connect(dir.path, ["--read-only"])
      const refused = yield* Effect.flip(looking.call("add_tasks", { tasks: [{ description: "two" }] }))
      assert.include(refused, "This server is read-only: it refuses every change.")

      const { path, entries } = yield* folder
      const missing = yield* baton(path, ["mcp", "--read-only"])
      assert.include(missing.stderr, "There is no store at .baton/baton.db.")
      assert.deepStrictEqual(entries(), [])

      const ended = spawnSync(process.execPath, [program, "mcp"], { cwd: dir.path, input: "", encoding: "utf8" })
      assert.deepStrictEqual([ended.status, ended.stdout, ended.stderr], [0, "", ""])
      const unknown = yield* baton(dir.path, ["mcp", "--allow", "everything"])
      assert.include(unknown.stderr, '--allow is "everything": it takes names separated by commas: review, budget.')
    })
  )
})
