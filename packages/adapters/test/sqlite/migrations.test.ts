import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import * as SqliteFile from "../../src/internal/SqliteFile.ts"
import { format, formatOf, migrations } from "../../src/sqlite/internal/migrations.ts"
import { folder } from "./temporary.ts"

/** A file of version 1 as SQL, with a task of each status. It never changes. */
const version1 = readFileSync(new URL("./fixtures/version-1.sql", import.meta.url), "utf8")

const fileOfVersion1 = Effect.map(folder, (path) => {
  const filename = join(path, "baton.db")
  const db = new DatabaseSync(filename)
  db.exec(version1)
  db.close()
  return filename
})

const query = (filename: string, sql: string) => {
  const db = new DatabaseSync(filename, { readOnly: true })
  const rows = db.prepare(sql).all()
  db.close()
  return rows.map((row) => Object.fromEntries(Object.entries(row)))
}

const open = (filename: string, migrations: Parameters<typeof formatOf>[0]) =>
  Effect.scoped(SqliteFile.open({ filename, format: formatOf(migrations), pragmas: "" }))

const nextMigration = { name: "0002_add_color", sql: "ALTER TABLE tasks ADD COLUMN color TEXT DEFAULT 'green'" }

const id = Task.TaskId.make

/** The usage of all tasks of version 1. */
const usage = { inputTokens: 20, outputTokens: 40, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 0.04 }

describe("the migrations of a SQLite store", () => {
  it.effect("open a file of version 1 with all of its tasks", () =>
    Effect.gen(function* () {
      const filename = yield* fileOfVersion1
      yield* Effect.gen(function* () {
        const store = yield* TaskStore.TaskStore
        assert.deepStrictEqual(
          { ...(yield* store.counts) },
          { pending: 2, in_progress: 1, in_review: 0, completed: 1, failed: 1, cancelled: 1, waiting: 1 }
        )
        assert.strictEqual(Option.getOrThrow(yield* store.get(id("completed"))).result, "the answer")
        const failed = yield* store.attempts(id("failed"))
        assert.deepStrictEqual(
          failed.map(({ error, outcome }) => [outcome, error]),
          [
            ["retried", "Say more."],
            ["failed", "Refused."]
          ]
        )
        yield* TestClock.adjust("2 seconds")
        yield* store.sweep({ maxAttempts: 3, onCrash: "retry" })
        const claims = yield* store.claim({ limit: 10, owner: "worker", lease: Duration.minutes(1) })
        assert.deepStrictEqual(
          claims.map(({ checkpoint, task, token }) => [task.id, token, checkpoint?.output ?? null]),
          [
            ["running", 2, "saved"],
            ["pending", 1, null]
          ]
        )
      }).pipe(Effect.provide(SqliteTaskStore.layer({ filename }), { local: true }))
      assert.deepStrictEqual(query(filename, "PRAGMA user_version"), [{ user_version: format.version }])
    })
  )

  for (const version of [1, 2]) {
    it.effect(`put all tasks of a file of version ${version} into the queue default, together with other queues`, () =>
      Effect.gen(function* () {
        const filename = yield* fileOfVersion1
        yield* open(filename, migrations.slice(0, version))
        const store = yield* SqliteTaskStore.make({ filename })
        const { tasks } = yield* store.list({ queue: "default" })
        assert.deepStrictEqual(
          tasks.map(({ id, overrides, payload, queue }) => [id, queue, payload, overrides]),
          ["completed", "failed", "cancelled", "running", "pending", "waiting"].map((id) => [
            id,
            "default",
            undefined,
            {}
          ])
        )
        const older = { pending: 2, in_progress: 1, in_review: 0, completed: 1, failed: 1, cancelled: 1, waiting: 1 }
        assert.deepStrictEqual(yield* store.queues, [{ queue: "default", ...older, usage }])
        const added = Task.makeNew({ id: "added", queue: "other", description: "Do added." })
        assert.deepStrictEqual(yield* store.add([Task.makeNew({ id: "pending", description: "Do pending." }), added]), {
          added: [id("added")],
          existing: 1,
          different: []
        })
        const claimed = yield* store.claim({
          queues: ["other"],
          limit: 10,
          owner: "worker",
          lease: Duration.minutes(1)
        })
        assert.deepStrictEqual(
          claimed.map(({ task }) => task.id),
          [id("added")]
        )
        assert.deepStrictEqual(yield* store.queues, [
          { queue: "default", ...older, usage },
          {
            queue: "other",
            pending: 0,
            in_progress: 1,
            in_review: 0,
            completed: 0,
            failed: 0,
            cancelled: 0,
            waiting: 0
          }
        ])
      })
    )
  }

  it.effect("leave no queue in a file without tasks", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      yield* open(filename, migrations.slice(0, 2))
      const store = yield* SqliteTaskStore.make({ filename })
      assert.deepStrictEqual(yield* store.queues, [])
    })
  )

  it.effect("keep the usage of an output that an attempt under way had saved", () =>
    Effect.gen(function* () {
      const filename = yield* fileOfVersion1
      const db = new DatabaseSync(filename)
      db.exec(`
        UPDATE tasks SET execution = json_set(execution, '$.usage', (
          SELECT json(usage) FROM tasks WHERE id = 'completed'
        )) WHERE id = 'running'`)
      db.close()
      const store = yield* SqliteTaskStore.make({ filename })
      const [running] = yield* store.attempts(id("running"))
      assert.strictEqual(running?.usage?.outputTokens, 20)
    })
  )

  it.effect("update an older file once", () =>
    Effect.gen(function* () {
      const filename = yield* fileOfVersion1
      const known = [...migrations.slice(0, 1), nextMigration]
      yield* open(filename, known)
      yield* open(filename, known)
      assert.deepStrictEqual(query(filename, "SELECT DISTINCT color FROM tasks"), [{ color: "green" }])
      assert.deepStrictEqual(query(filename, "PRAGMA user_version"), [{ user_version: 2 }])
    })
  )

  it.effect("leave a file unchanged when one of them fails", () =>
    Effect.gen(function* () {
      const filename = yield* fileOfVersion1
      const known = [...migrations.slice(0, 1), nextMigration, { name: "0003_break", sql: "DROP TABLE nothing" }]
      const opened = yield* Effect.result(open(filename, known))
      assert.isTrue(Result.isFailure(opened))
      assert.deepStrictEqual(query(filename, "PRAGMA user_version"), [{ user_version: 1 }])
      assert.notInclude(
        query(filename, "SELECT name FROM pragma_table_info('tasks')").map(({ name }) => name),
        "color"
      )
    })
  )

  it.effect("never change once published: a new file of version 1 has the schema of an old one", () =>
    Effect.gen(function* () {
      const schema = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
      const old = yield* fileOfVersion1
      const fresh = join(yield* folder, "baton.db")
      yield* open(fresh, migrations.slice(0, 1))
      assert.deepStrictEqual(query(fresh, schema), query(old, schema))
    })
  )

  it("are numbered without a gap", () => {
    migrations.forEach(({ name }, index) => assert.match(name, new RegExp(`^${String(index + 1).padStart(4, "0")}_`)))
  })
})
