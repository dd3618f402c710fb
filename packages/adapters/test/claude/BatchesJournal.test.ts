import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Journal from "../../src/claude/internal/batches/journal.ts"
import { identify } from "../../src/claude/internal/requestIdentity.ts"
import { folder } from "../sqlite/temporary.ts"
import { about, request, fixture } from "./batches/run.ts"
import { reply, used } from "./requests.ts"

const database = (filename: string, sql: string) => {
  const db = new DatabaseSync(filename)
  db.exec(sql)
  db.close()
}

const refused = (prepare: (filename: string) => void, expected: RegExp) =>
  Effect.gen(function* () {
    const filename = join(yield* folder, "batches.db")
    prepare(filename)
    const error = yield* Effect.flip(Effect.scoped(Journal.open(filename)))
    assert.strictEqual(error.reason, "Fatal")
    assert.match(error.message, expected)
    assert.notInclude(error.message, "\n")
  })

describe("a batch journal that cannot be used", () => {
  it.effect("because it is another program's database", () =>
    refused(
      (filename) => database(filename, "CREATE TABLE mine (x)"),
      /^The file .* is a database, but not a batch journal of Baton: name another file, or move this one away\.$/
    )
  )

  it.effect("because a newer version wrote it", () =>
    refused(
      (filename) => database(filename, `PRAGMA application_id = ${0x42415442}; PRAGMA user_version = 99`),
      /^The batch journal .* was written by a newer version of Baton: update Baton\.$/
    )
  )

  it.effect("because it is not a database, and stays unchanged", () =>
    Effect.gen(function* () {
      const text = "Buy milk\n".repeat(1000)
      yield* refused(
        (filename) => writeFileSync(filename, text),
        /^The file .* is not a database: name another file, or move this one away\.$/
      )
      const filename = join(yield* folder, "batches.db")
      writeFileSync(filename, text)
      yield* Effect.exit(Effect.scoped(Journal.open(filename)))
      assert.strictEqual(readFileSync(filename, "utf8"), text)
    })
  )

  it.effect("because it is a folder", () =>
    refused((filename) => mkdirSync(filename), / is a folder: name a file for the batch journal\.$/)
  )
})

describe("a batch journal of an earlier version", () => {
  it.effect("keeps its replies and their usage", () =>
    Effect.gen(function* () {
      const { filename, start } = yield* fixture()
      const answer = (id: string, more: object) => {
        const { usage: _, ...rest } = reply(`answer ${id}`, { refusal: "bio", billing: "batch", requestId: null })
        const tokens = { input: 10, output: 5, cacheRead: 3, cacheWrite5m: 2, cacheWrite1h: 1 }
        return JSON.stringify({ _tag: "Replied", reply: { ...rest, tokens, ...more } })
      }
      const identity = (id: string) => identify(request(id), about(id))
      database(
        filename,
        `CREATE TABLE batches (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, requests INTEGER NOT NULL,
           created_at INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0) STRICT;
         CREATE TABLE items (key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, batch INTEGER NOT NULL, answer TEXT,
           claimed INTEGER NOT NULL DEFAULT 0) STRICT;
         INSERT INTO items VALUES ('${identity("a").id}', 'x', 1, '${answer("a", {})}', 0);
         INSERT INTO items VALUES ('${identity("b").id}', 'x', 1, '${answer("b", { unmetered: true })}', 0);
         PRAGMA application_id = ${0x42415442}; PRAGMA user_version = 1`
      )
      const { ask } = yield* start()
      const first = yield* Fiber.join(yield* ask("a"))
      assert.deepInclude(first, { text: "answer a", refusal: "bio", billing: "batch", stopReason: "end_turn" })
      const tokens = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 3, cacheWriteTokens: 3 }
      assert.deepStrictEqual(first.usage, used({ ...tokens, cacheWrite1hTokens: 1, billing: "batch" }))
      assert.isNull((yield* Fiber.join(yield* ask("b"))).usage)
    })
  )
})
