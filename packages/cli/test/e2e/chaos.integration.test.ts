import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { baton, folder } from "./baton.ts"

describe("baton chaos", () => {
  it.live("tests a store with workers that crash, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { code, stderr, stdout } = yield* baton(dir.path, ["chaos", "--tasks", "10", "--seed", "11"])
      assert.strictEqual(code, 0, stderr + stdout)
      assert.include(stderr, "Testing with 10 tasks and 4 workers that are killed and frozen (seed 11), in the folder ")
      assert.match(stdout, /^✓ seed 11: 10 tasks, \d+ kills?, \d+ freezes?: none lost, none settled twice, in \d+ s$/m)
      assert.match(stdout, /^✓ The store kept its promises: 10 tasks and \d+ faults? in 1 round\.$/m)
      assert.deepStrictEqual(readdirSync(dir.path), [])
    })
  )

  it.live("refuses a store that workers cannot share, and one that it cannot reach", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const shared = yield* baton(dir.path, ["chaos", "--store", "json:tasks.json"])
      assert.strictEqual(shared.code, 1)
      assert.include(shared.stderr, "Several workers cannot share a store of this kind")
      const absent = yield* baton(dir.path, ["chaos", "--store", "redis://127.0.0.1:1"])
      assert.strictEqual(absent.code, 1)
      assert.match(absent.stderr, /\nerror: Redis at 127\.0\.0\.1:1 refuses connections[^\n]*\n$/)
      assert.notInclude(absent.stderr, "yourself")
    })
  )
})
