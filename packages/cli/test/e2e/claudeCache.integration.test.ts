import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rmSync } from "node:fs"
import { join } from "node:path"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import { baton, folder, start } from "./baton.ts"

const options = ["--executor", "claude", "--no-verify", "-j", "4", "--lease", "2s", "--output", "ndjson"]

const texts = (count: number) => Array.from({ length: count }, (_, index) => `Say ${index}`)

const setUp = Effect.fnUntraced(function* (count: number, script?: Parameters<typeof Server.make>[0]) {
  const dir = yield* folder
  dir.write("tasks.txt", texts(count).join("\n"))
  const server = yield* Server.make(script)
  const env = { ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: "key" }
  const asked = () => server.messages().map(({ body }) => JSON.stringify(body))
  return { dir, server, env, asked }
})

describe("a run with --executor claude", () => {
  it.live("repeats no answered request after a kill", () =>
    Effect.gen(function* () {
      // Six requests are answered; the others wait until the run is killed.
      const never = new Promise(() => {})
      const { asked, dir, env, server } = yield* setUp(12, {
        script: (_, n) => (n <= 6 ? reply(`answer ${n}`) : reply("late", { before: never }))
      })
      const run = yield* start(dir.path, ["run", "tasks.txt", ...options], env)
      for (let completed = 0; completed < 6; completed++) yield* run.event("TaskCompleted")
      yield* Effect.promise(() => server.until((server) => server.messages().length >= 10))
      yield* run.kill("SIGKILL")
      yield* run.ended
      const answered = new Set(asked().slice(0, 6))
      // The store is removed too, so that only the cached responses remain.
      rmSync(join(dir.path, ".baton", "baton.db"))
      for (const suffix of ["-wal", "-shm"]) rmSync(join(dir.path, ".baton", `baton.db${suffix}`), { force: true })

      server.script((_, n) => reply(`answer ${n}`))
      const before = asked().length
      const again = yield* baton(dir.path, ["run", "tasks.txt", ...options], env)
      assert.strictEqual(again.code, 0, again.stderr)
      const asksAgain = asked().slice(before)
      assert.lengthOf(asksAgain, 6)
      for (const body of asksAgain) assert.isFalse(answered.has(body))
    })
  )

  it.live("repeats all requests with --no-cache and after `baton cache clear`", () =>
    Effect.gen(function* () {
      const { asked, dir, env } = yield* setUp(3)
      // Every run has a new store in the same place.
      const run = (...more: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          rmSync(join(dir.path, ".baton", "baton.db"), { force: true })
          const { code, stderr } = yield* baton(dir.path, ["run", "tasks.txt", ...options, ...more], env)
          assert.strictEqual(code, 0, stderr)
          return asked().length
        })
      assert.strictEqual(yield* run("--no-cache"), 3)
      assert.strictEqual(yield* run(), 6)
      assert.strictEqual(yield* run(), 6)
      assert.strictEqual(yield* run("--no-cache"), 9)
      assert.include((yield* baton(dir.path, ["cache", "clear"])).stdout, "3 responses deleted")
      assert.strictEqual(yield* run(), 12)
    })
  )
})
