import { Task, TaskStoreError } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Connection from "../../src/sqlite/internal/connection.ts"
import { fromCause } from "../../src/sqlite/internal/errors.ts"
import { migrations } from "../../src/sqlite/internal/migrations.ts"
import { add } from "../../src/sqlite/internal/admission.ts"
import { folder } from "./temporary.ts"

const tasks = Array.from({ length: 2000 }, (_, index) =>
  Task.make({ id: `task-${index}`, description: "Fill the disk.".repeat(10) })
)

describe("what goes wrong with SQLite", () => {
  it.effect("a full disk undoes the write, is Unavailable, and passes", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      // A disk of 30 pages, as far as this connection can tell.
      const connection = yield* Connection.open({
        filename,
        synchronous: "FULL",
        migrations: [...migrations, { name: "0000_small_disk", sql: "PRAGMA max_page_count = 30" }]
      })
      const pending = connection.read((sql) => sql.store().pending)
      const error = yield* Effect.flip(connection.write((writing) => add(writing, tasks)))
      assert.instanceOf(error, TaskStoreError)
      assert.strictEqual(error.reason, "Unavailable")
      assert.strictEqual(error.message, `No space is left on the disk that holds the store ${filename}: free some.`)
      assert.strictEqual(yield* pending, 0)
      yield* connection.write((writing) => add(writing, tasks.slice(0, 3)))
      assert.strictEqual(yield* pending, 3)
    })
  )

  it.effect(
    "a lock that another process does not let go is Unavailable, and nothing is written",
    () =>
      Effect.gen(function* () {
        const filename = join(yield* folder, "baton.db")
        const connection = yield* Connection.open({ filename, synchronous: "FULL" })
        const other = new DatabaseSync(filename)
        other.exec("BEGIN IMMEDIATE")
        const writing = yield* Effect.forkChild(
          connection.write((writing) => add(writing, tasks.slice(0, 1))),
          { startImmediately: true }
        )
        yield* TestClock.adjust("10 seconds")
        const error = yield* Effect.flip(Fiber.join(writing))
        assert.strictEqual(error.reason, "Unavailable")
        assert.include(error.message, "keeps the store")
        assert.strictEqual(yield* connection.read((sql) => sql.store().pending), 0)
        other.exec("ROLLBACK")
        other.close()
        yield* connection.write((writing) => add(writing, tasks.slice(0, 1)))
      }),
    30_000
  )

  it.effect("a lock that another process lets go of is waited for", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      const connection = yield* Connection.open({ filename, synchronous: "FULL" })
      const other = new DatabaseSync(filename)
      other.exec("BEGIN IMMEDIATE")
      const writing = yield* Effect.forkChild(
        connection.write((writing) => add(writing, tasks.slice(0, 1))),
        { startImmediately: true }
      )
      assert.isUndefined(writing.pollUnsafe())
      other.exec("ROLLBACK")
      other.close()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(writing)
      assert.strictEqual(yield* connection.read((sql) => sql.store().pending), 1)
    })
  )

  it("a bug is not passed off as the user's mistake", () => {
    assert.isUndefined(fromCause("baton.db", new TypeError("undefined is not a function")))
    assert.isUndefined(fromCause("baton.db", "a string"))
  })
})
