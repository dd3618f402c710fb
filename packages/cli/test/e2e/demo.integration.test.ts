import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { baton, folder } from "./baton.ts"

describe("baton demo", () => {
  it.live("shows a retry, a dead letter and completed tasks in 80 columns, exits with 0 and leaves no files", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { code, stderr, stdout } = yield* baton(dir.path, ["demo"])
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      const lines = stdout.split("\n")
      for (const line of lines) assert.isAtMost(line.length, 80)
      assert.isBelow(lines.length, 25)
      const changes = lines.filter((line) => line.startsWith("task-001")).map((line) => line.slice(10, 35).trim())
      assert.deepStrictEqual(changes, [
        "pending     → in_progress",
        "in_progress → pending",
        "pending     → in_progress",
        "in_progress → completed"
      ])
      assert.include(stdout, "task-003  in_progress → failed")
      assert.include(stdout, "✓ 2 completed and verified   ↻ 1 retry   ✗ 1 in the dead-letter queue")
      assert.deepStrictEqual(readdirSync(dir.path), [])
    })
  )
})
