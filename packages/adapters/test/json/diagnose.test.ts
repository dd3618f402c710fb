import { JsonTaskStore } from "@baton/adapters/json"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { of, summary } from "../diagnoses.ts"
import { folder } from "./temporary.ts"

const text = (count: number) =>
  JSON.stringify({ tasks: Array.from({ length: count }, (_, index) => ({ id: `t${index}`, description: "x" })) })

describe("the diagnosis of a JSON store", () => {
  it.effect("creates no file", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const found = yield* JsonTaskStore.diagnose({ filename: join(path, "deep", "tasks.json") })
      assert.deepStrictEqual(summary(found), ["file ok", "space ok"])
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.effect("reports a valid file, and the process that uses it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "tasks.json")
      writeFileSync(filename, text(3))
      const found = yield* JsonTaskStore.diagnose({ filename })
      assert.deepStrictEqual(summary(found), ["file ok", "tasks ok", "lock ok", "space ok"])
      assert.strictEqual(of(found, "tasks").message, "The file contains 3 tasks.")
      assert.deepStrictEqual(readdirSync(path), ["tasks.json"])
      yield* JsonTaskStore.make({ filename })
      const { message, status } = of(yield* JsonTaskStore.diagnose({ filename }), "lock")
      assert.strictEqual(status, "warn")
      assert.match(message, /tasks\.json is already open in this process\.$/)
    })
  )

  it.effect("reports why a file cannot be used, and the position of a mistake", () =>
    Effect.gen(function* () {
      const path = yield* folder
      mkdirSync(join(path, "folder"))
      writeFileSync(join(path, "broken.json"), '{"tasks": [\n  {"id": 1}\n]}')
      writeFileSync(join(path, "latin.json"), Buffer.from('{"tasks": [{"id": "a", "description": "\xe9"}]}', "latin1"))
      writeFileSync(join(path, "large.json"), text(20_001))
      for (const [name, check, expected, status] of [
        ["folder", "file", /folder is a folder\.$/, "fail"],
        ["broken.json", "tasks", /broken\.json:2:\d+: /, "fail"],
        ["latin.json", "tasks", /is not UTF-8 text\.$/, "fail"],
        ["large.json", "tasks", /20001 tasks, and every change writes all of them\.$/, "warn"]
      ] as const) {
        const found = of(yield* JsonTaskStore.diagnose({ filename: join(path, name) }), check)
        assert.strictEqual(found.status, status, name)
        assert.match(found.message, expected)
      }
    })
  )
})
