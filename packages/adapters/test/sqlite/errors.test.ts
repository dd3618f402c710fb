import { type TaskStoreDriver, TaskStoreError } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SqliteFile from "../../src/internal/SqliteFile.ts"
import * as Connection from "../../src/sqlite/internal/connection.ts"
import * as Driver from "../../src/sqlite/internal/driver.ts"
import { format, formatOf, migrations } from "../../src/sqlite/internal/migrations.ts"
import { folder } from "./temporary.ts"

const tasks = Array.from({ length: 2000 }, (_, index): TaskStoreDriver.NewTaskRow => ({
  id: `task-${index}`,
  queue: "default",
  description: "Fill the disk.".repeat(10),
  payload: null,
  overrides: null,
  maxAttempts: null,
  metadata: null,
  priority: 0,
  concurrencyKey: null,
  availableAt: null,
  dependsOn: null,
  dependencies: []
}))

const open = Effect.fnUntraced(function* (filename: string, format?: SqliteFile.Format) {
  const driver = Driver.make(yield* Connection.open({ filename, synchronous: "FULL", format }))
  return {
    add: (count: number) => driver.add(tasks.slice(0, count), { checkOnly: false }),
    pending: Effect.map(driver.counts, ([row]) => row?.pending ?? 0)
  }
})

describe("an error of SQLite", () => {
  it.effect("a full disk undoes the write and is Unavailable, and later writes succeed", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      // A disk of 30 pages, as far as this connection knows.
      const smallDisk = { name: "small_disk", sql: "PRAGMA max_page_count = 30" }
      const { add, pending } = yield* open(filename, formatOf([...migrations, smallDisk]))
      const error = yield* Effect.flip(add(2000))
      assert.instanceOf(error, TaskStoreError)
      assert.strictEqual(error.reason, "Unavailable")
      assert.strictEqual(error.message, `No space is left on the disk that holds the store ${filename}: free some.`)
      assert.strictEqual(yield* pending, 0)
      yield* add(3)
      assert.strictEqual(yield* pending, 3)
    })
  )

  it.effect("a lock that another process keeps is Unavailable, and nothing is written", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      const { add, pending } = yield* open(filename)
      const other = new DatabaseSync(filename)
      other.exec("BEGIN IMMEDIATE")
      const writing = yield* Effect.forkChild(add(1), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const error = yield* Effect.flip(Fiber.join(writing))
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.message, "keeps the store")
      assert.strictEqual(yield* pending, 0)
      other.exec("ROLLBACK")
      other.close()
      yield* add(1)
    })
  )

  it.effect("a write waits for a lock that another process releases", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      const { add, pending } = yield* open(filename)
      const other = new DatabaseSync(filename)
      other.exec("BEGIN IMMEDIATE")
      const writing = yield* Effect.forkChild(add(1), { startImmediately: true })
      assert.isUndefined(writing.pollUnsafe())
      other.exec("ROLLBACK")
      other.close()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(writing)
      assert.strictEqual(yield* pending, 1)
    })
  )

  it.effect("a bug is a defect, and not an error of the file", () =>
    Effect.gen(function* () {
      for (const bug of [new TypeError("undefined is not a function"), "a string"]) {
        const exit = yield* Effect.exit(
          SqliteFile.attemptOn(
            format,
            "baton.db"
          )(() => {
            throw bug
          })
        )
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }
    })
  )
})
