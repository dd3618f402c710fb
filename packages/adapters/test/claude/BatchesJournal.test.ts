import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Journal from "../../src/claude/internal/batches/journal.ts"
import { folder } from "../sqlite/temporary.ts"

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

describe("a journal of batches that cannot be used", () => {
  it.effect("because it is somebody else's database", () =>
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

  it.effect("because it is no database, which stays as it is", () =>
    Effect.gen(function* () {
      const text = "Dear diary, ".repeat(1000)
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
