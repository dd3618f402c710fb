import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, built, folder } from "./baton.ts"

describe("baton init", () => {
  it.live("writes a configuration and a list that run unchanged", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const init = yield* baton(dir.path, ["init"])
      assert.strictEqual(init.code, 0, init.stderr)
      assert.include(init.stdout, "baton.config.ts  settings")
      const run = yield* built(dir.path, ["run", "tasks.md"])
      assert.strictEqual(run.code, 0, run.stderr)
      assert.include(run.stderr, "3 of 3 tasks completed")
      assert.strictEqual((yield* built(dir.path, ["run", "tasks.md", "--profile", "overnight"])).code, 0)
    })
  )

  it.live("does not change existing files", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("baton.config.mjs", "export default { exec: 'cat' }\n")
      dir.write("tasks.md", "- [ ] mine\n")
      const { stdout } = yield* baton(dir.path, ["init"])
      assert.include(stdout, "baton.config.mjs (already exists)")
      assert.strictEqual(dir.read("tasks.md"), "- [ ] mine\n")
      assert.strictEqual(dir.read("baton.config.mjs"), "export default { exec: 'cat' }\n")
    })
  )
})
