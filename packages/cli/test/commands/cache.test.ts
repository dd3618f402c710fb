import { ClaudeClient, ResponseCache } from "@baton/adapters/claude"
import { Attempt, Task, type TaskStore, Usage } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { baton, test } from "./harness.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-cache-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const client = ClaudeClient.ClaudeClient.of({
  billing: "standard",
  send: ({ model }) =>
    Effect.succeed({
      id: "msg_1",
      model,
      text: "Hello",
      content: [{ type: "text", text: "Hello" }],
      stopReason: "end_turn",
      refusal: null,
      usage: Usage.zero,
      billing: "standard",
      requestId: null,
      cached: false
    }),
  countTokens: () => Effect.die("not called"),
  model: () => Effect.die("not called")
})

/** Stores this number of responses in the file. */
const keep = (filename: string, count: number) =>
  Effect.gen(function* () {
    const { send } = yield* ClaudeClient.ClaudeClient
    for (let index = 0; index < count; index++) {
      yield* send(
        { model: "claude-x", max_tokens: 10, messages: [{ role: "user", content: `Hello ${index}` }] },
        {
          taskId: Task.TaskId.make("task"),
          queue: "default",
          leaseToken: Attempt.LeaseToken.make(1),
          requeues: 0,
          idempotencyKey: "task/1",
          purpose: "execute",
          rejected: null
        }
      )
    }
  }).pipe(
    Effect.provide(
      ResponseCache.layer({ filename }).pipe(Layer.provide(Layer.succeed(ClaudeClient.ClaudeClient, client)))
    )
  )

const cacheTest = (name: string, effect: (dir: string) => Effect.Effect<void, unknown, TaskStore.TaskStore>) =>
  test(name, Effect.scoped(Effect.flatMap(folder, effect)))

describe("baton cache", () => {
  cacheTest("reports the number of cached responses", (dir) =>
    Effect.gen(function* () {
      const filename = join(dir, "mine.cache.db")
      const store = `sqlite:${join(dir, "mine.db")}`
      assert.deepStrictEqual(yield* baton(["--store", store, "cache"]), {
        stdout: `0 responses, 0 kB, in ${filename}\n`,
        stderr: "",
        exitCode: 0
      })
      assert.isFalse(existsSync(filename))
      yield* keep(filename, 3)
      assert.match((yield* baton(["--store", store, "cache"])).stdout, /^3 responses, \d+ kB, in /)
      const { stdout } = yield* baton(["--store", store, "cache", "--json"])
      assert.deepInclude(JSON.parse(stdout), { file: filename, answers: 3 })
    })
  )

  cacheTest("deletes them", (dir) =>
    Effect.gen(function* () {
      const filename = join(dir, "tasks.cache.db")
      const store = `json:${join(dir, "tasks.json")}`
      yield* keep(filename, 2)
      assert.strictEqual((yield* baton(["--store", store, "cache", "clear"])).stdout, "2 responses deleted.\n")
      assert.strictEqual((yield* baton(["--store", store, "cache", "clear"])).stdout, "The cache is empty.\n")
      yield* keep(filename, 2)
      assert.deepStrictEqual(JSON.parse((yield* baton(["--store", store, "cache", "clear", "--json"])).stdout), {
        forgotten: 2
      })
    })
  )

  cacheTest("reports a file that is not a cache, and a store without a cache", (dir) =>
    Effect.gen(function* () {
      const filename = join(dir, "mine.cache.db")
      writeFileSync(filename, "Buy milk")
      for (const args of [["cache"], ["cache", "clear"]]) {
        assert.deepStrictEqual(yield* baton(["--store", `sqlite:${join(dir, "mine.db")}`, ...args]), {
          stdout: "",
          stderr: `error: The file ${filename} is not a database: name another file, or move this one away.\n`,
          exitCode: 1
        })
      }
      assert.deepStrictEqual(yield* baton(["cache"]), {
        stdout: "",
        stderr: "error: A store in memory has no cache. Choose another store with --store.\n",
        exitCode: 1
      })
    })
  )
})
