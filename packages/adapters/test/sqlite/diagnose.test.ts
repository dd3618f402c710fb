import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { of, summary } from "../diagnoses.ts"
import { folder } from "./temporary.ts"

const filled = Effect.fnUntraced(function* (filename: string) {
  const tasks = Array.from({ length: 200 }, (_, index) =>
    Task.makeNew({ id: `t${index}`, description: "x".repeat(500) })
  )
  yield* Effect.scoped(Effect.flatMap(SqliteTaskStore.make({ filename }), (store) => store.add(tasks)))
})

describe("the diagnosis of a SQLite store", () => {
  it.effect("creates no file", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const found = yield* SqliteTaskStore.diagnose({ filename: join(path, "deep", "baton.db") })
      assert.deepStrictEqual(summary(found), ["file ok", "space ok"])
      assert.match(of(found, "file").message, /^There is no store at .*baton\.db yet; /)
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.effect("reports a valid file, in use or not, and leaves it unchanged", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      yield* filled(filename)
      const before = readFileSync(filename)
      const all = ["file ok", "schema ok", "journal ok", "integrity ok", "space ok"]
      assert.deepStrictEqual(summary(yield* SqliteTaskStore.diagnose({ filename })), all)
      assert.deepStrictEqual(readFileSync(filename), before)
      yield* SqliteTaskStore.make({ filename })
      assert.deepStrictEqual(summary(yield* SqliteTaskStore.diagnose({ filename })), all)
    })
  )

  it.effect("reports a damaged file", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      yield* filled(filename)
      const bytes = readFileSync(filename)
      bytes.fill(7, bytes.length / 2, bytes.length / 2 + 9_000)
      writeFileSync(filename, bytes)
      const found = yield* SqliteTaskStore.diagnose({ filename })
      const { message, status } = of(found, "integrity")
      assert.strictEqual(status, "fail")
      assert.match(message, /is damaged\.$/)
    })
  )

  it.effect("reports a file that is not a store", () =>
    Effect.gen(function* () {
      const path = yield* folder
      mkdirSync(join(path, "folder"))
      writeFileSync(join(path, "text"), "no database at all, and longer than a page\n".repeat(200))
      new DatabaseSync(join(path, "other.db")).exec("CREATE TABLE other (x)")
      for (const [name, check, expected] of [
        ["folder", "file", /is a folder\.$/],
        ["text", "schema", /is not a database\.$/],
        ["other.db", "schema", /is a database, but not a store of Baton\.$/]
      ] as const) {
        const { message, status } = of(yield* SqliteTaskStore.diagnose({ filename: join(path, name) }), check)
        assert.strictEqual(status, "fail")
        assert.match(message, expected)
      }
      assert.isFalse(existsSync(join(path, "other.db-wal")))
    })
  )
})
