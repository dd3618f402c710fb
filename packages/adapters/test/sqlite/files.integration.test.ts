import { Task, TaskStore, type TaskStoreError } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Option, Scope } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import * as OtherProcess from "./otherProcess.ts"
import { identify } from "../../src/internal/SqliteFile.ts"
import { format } from "../../src/sqlite/internal/migrations.ts"
import { folder } from "./temporary.ts"

type Store = TaskStore.TaskStore["Service"]

/** Opens the store, calls `use` with it, and closes it. */
const withStore = <A, E>(filename: string, use: (store: Store) => Effect.Effect<A, E>) =>
  TaskStore.TaskStore.use(use).pipe(Effect.provide(SqliteTaskStore.layer({ filename }), { local: true }))

const id = Task.TaskId.make("a")

const add = (store: Store, description = "Do a.") => store.add([Task.makeNew({ id, description })])

/** The error of a store that cannot be opened; its message has to be one sentence that names the file. */
const refused = Effect.fnUntraced(function* (filename: string) {
  const error = yield* Effect.flip(withStore(filename, () => Effect.void))
  assertSentence(error.message, filename)
  return error
})

const assertSentence = (message: string, filename: string) => {
  assert.include(message, filename)
  assert.match(message, /^.*[^.]\.$/)
  assert.notMatch(message, /\n| at |Error:/)
}

/** The exact contents of a folder. */
const contents = (path: string) =>
  fs.readdirSync(path).map((name) => [
    name,
    createHash("sha256")
      .update(fs.readFileSync(join(path, name)))
      .digest("hex")
  ])

/** Expects that the file is refused, and that its folder stays unchanged. */
const refusedAndUntouched = Effect.fnUntraced(function* (path: string, filename: string) {
  const before = contents(path)
  const error = yield* refused(filename)
  assert.deepStrictEqual(contents(path), before)
  return error
})

const makeDatabase = (filename: string, sql: string) => {
  const db = new DatabaseSync(filename)
  db.exec(sql)
  db.close()
}

describe("the file of a SQLite store", () => {
  it.effect("is created if it does not exist, with its folder, for this user alone", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "new", "folders", "baton.db")
      yield* withStore(filename, (store) =>
        Effect.andThen(
          add(store),
          Effect.sync(() => {
            const modes = fs.readdirSync(join(path, "new", "folders")).map((name) => [name, mode(filename, name)])
            assert.deepStrictEqual(modes, [
              ["baton.db", 0o600],
              ["baton.db-shm", 0o600],
              ["baton.db-wal", 0o600]
            ])
          })
        )
      )
      assert.strictEqual(fs.statSync(join(path, "new")).mode & 0o777, 0o700)
      assert.strictEqual(fs.statSync(join(path, "new", "folders")).mode & 0o777, 0o700)
    })
  )

  it.effect("is a single file once the store is closed, and opens again", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "baton.db")
      yield* withStore(filename, add)
      assert.deepStrictEqual(fs.readdirSync(path), ["baton.db"])
      const task = yield* withStore(filename, (store) => store.get(id))
      assert.strictEqual(Option.getOrThrow(task).description, "Do a.")
    })
  )

  it.effect("can exist already if it is empty", () =>
    Effect.gen(function* () {
      const path = yield* folder
      fs.writeFileSync(join(path, "empty"), "")
      yield* withStore(join(path, "empty"), add)
      makeDatabase(join(path, "database"), "VACUUM")
      yield* withStore(join(path, "database"), add)
    })
  )

  it.effect("is refused when it is not a database, whatever its size", () =>
    Effect.gen(function* () {
      const path = yield* folder
      for (const text of ["x", "a list of tasks\n", "# Tasks\n".repeat(10_000)]) {
        const filename = join(path, "tasks.md")
        fs.writeFileSync(filename, text)
        const error = yield* refusedAndUntouched(path, filename)
        assert.strictEqual(error.reason, "Unusable")
        assert.include(error.message, "is not a database")
      }
    })
  )

  it.effect("is refused when it is the database of another program", () =>
    Effect.gen(function* () {
      for (const sql of [
        "CREATE TABLE tasks (id TEXT)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 7",
        "PRAGMA journal_mode = WAL; CREATE TABLE tasks (id TEXT)"
      ]) {
        const path = yield* folder
        const filename = join(path, "other.db")
        makeDatabase(filename, sql)
        const error = yield* refusedAndUntouched(path, filename)
        assert.strictEqual(error.reason, "Unusable")
        assert.include(error.message, "not a store of Baton")
      }
    })
  )

  it.effect("is refused, and the log that a crash of another program left stays unchanged", () =>
    Effect.gen(function* () {
      const [live, path] = [yield* folder, yield* folder]
      const other = new DatabaseSync(join(live, "other.db"))
      other.exec("PRAGMA journal_mode = WAL; CREATE TABLE tasks (id TEXT)")
      // After the other program is killed, the disk contains the same as while it runs.
      for (const name of ["other.db", "other.db-wal"]) fs.copyFileSync(join(live, name), join(path, name))
      other.close()
      const before = contents(path)
      const error = yield* refused(join(path, "other.db"))
      assert.include(error.message, "not a store of Baton")
      assert.includeDeepMembers(contents(path), before)
    })
  )

  it.effect("is refused when a newer version of Baton wrote it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "baton.db")
      yield* withStore(filename, add)
      makeDatabase(filename, `PRAGMA user_version = ${format.version + 1}`)
      const error = yield* refusedAndUntouched(path, filename)
      assert.strictEqual(error.reason, "Unusable")
      assert.include(error.message, "newer version of Baton")
    })
  )

  it.effect("is refused when it is damaged", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "baton.db")
      yield* withStore(filename, add)
      const pages = fs.readFileSync(filename)
      fs.writeFileSync(filename, pages.fill(0xee, 4096, 5 * 4096))
      const error = yield* refusedAndUntouched(path, filename)
      assert.strictEqual(error.reason, "Unusable")
      assert.include(error.message, "is damaged")
      fs.truncateSync(filename, 2 * 4096)
      assert.include((yield* refusedAndUntouched(path, filename)).message, "is damaged")
    })
  )

  it.effect("is reported as damaged if that is found after it was opened", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      // Too large to be checked as a whole when it is opened.
      yield* withStore(filename, (store) => add(store, "x".repeat(3_000_000)))
      const file = fs.openSync(filename, "r+")
      fs.writeSync(file, Buffer.alloc(4096, 0xee), 0, 4096, 2_000_000 - (2_000_000 % 4096))
      fs.closeSync(file)
      const error = yield* Effect.flip(withStore(filename, (store) => store.get(id)))
      assertSentence(error.message, filename)
      assert.strictEqual(error.reason, "Unusable")
      assert.include(error.message, "is damaged")
    })
  )

  it.effect("is refused when it is a folder, or not a regular file", () =>
    Effect.gen(function* () {
      const path = yield* folder
      assert.include((yield* refused(path)).message, "is a folder")
      assert.include((yield* refused("/dev/null")).message, "is not a database")
    })
  )

  it.effect("is refused when its folder cannot be created", () =>
    Effect.gen(function* () {
      const path = yield* folder
      fs.writeFileSync(join(path, "file"), "")
      for (const filename of [join(path, "file", "baton.db"), join(path, "file", "deeper", "baton.db")]) {
        const error = yield* refused(filename)
        assert.strictEqual(error.reason, "Unusable")
        assert.include(error.message, "a file is in its way")
      }
      // A folder in which nothing can be created, and in which Node's recursive mkdir never returns.
      if (fs.existsSync("/proc/self")) yield* refused("/proc/baton/folder/baton.db")
    })
  )

  it.effect("is refused when a column has an invalid value", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      yield* withStore(filename, add)
      makeDatabase(filename, "UPDATE tasks SET status = 'nonsense'")
      const error = yield* Effect.flip(withStore(filename, (store) => store.get(id)))
      assertSentence(error.message, filename)
      assert.strictEqual(error.reason, "Unusable")
    })
  )

  it.live("is refused when the user cannot write the file or its folder", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "baton.db")
      yield* withStore(filename, add)
      // Root can write every file, so tests that run as root use another user.
      const user = process.getuid?.() === 0 ? { uid: 65_534 } : undefined
      for (const [folderMode, fileMode] of [
        [0o777, 0o444],
        [0o555, 0o666]
      ] as const) {
        fs.chmodSync(path, folderMode)
        fs.chmodSync(filename, fileMode)
        const other = yield* OtherProcess.idle
        const message = yield* Effect.flip(other.call({ op: "open", filename, ...user }))
        assertSentence(message, filename)
        assert.include(message, "write permission")
      }
      fs.chmodSync(path, 0o700)
    })
  )

  it.effect("reports that it is closed to operations after that", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(SqliteTaskStore.layer({ filename }), scope)
      yield* Scope.close(scope, Exit.void)
      const error: TaskStoreError = yield* Effect.flip(Context.get(context, TaskStore.TaskStore).counts)
      assertSentence(error.message, filename)
      assert.include(error.message, "closed")
    })
  )

  it.effect("grows by the changed columns: a claim does not write a long description again", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "baton.db")
      const description = `Read this.\0 👩‍👩‍👧 ${"x".repeat(5_000_000)}\ud800`
      yield* withStore(filename, (store) => add(store, description))
      yield* withStore(
        filename,
        Effect.fnUntraced(function* (store) {
          const [claimed] = yield* store.claim({ limit: 1, owner: "worker", lease: Duration.seconds(1) })
          assert.ok(claimed)
          assert.strictEqual(claimed.task.description, description)
          yield* store.extend([{ taskId: id, token: claimed.token }], Duration.seconds(1))
          assert.isBelow(fs.statSync(`${filename}-wal`).size, 100_000)
        })
      )
    })
  )
})

const mode = (filename: string, name: string) => fs.statSync(join(filename, "..", name)).mode & 0o777

describe("a file that another process turns into a store while it is inspected", () => {
  it.effect("is identified as a store or as empty, and never as the file of another program", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "baton.db")
      const db = new DatabaseSync(path)
      db.exec("PRAGMA journal_mode = WAL")
      // The other process writes between two statements of the inspection.
      const prepare = db.prepare.bind(db)
      db.prepare = (sql) => {
        if (sql.includes("user_version")) {
          const other = new DatabaseSync(path)
          other.exec(
            `BEGIN; CREATE TABLE t (x); PRAGMA application_id = ${format.applicationId}; PRAGMA user_version = 1; COMMIT`
          )
          other.close()
        }
        return prepare(sql)
      }
      assert.isUndefined(identify(format, "baton.db", db))
      db.close()
    })
  )
})
