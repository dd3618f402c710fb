import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Executor, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { newFile } from "./temporary.ts"

/** A file of ten tasks, one of which was claimed by a worker that died. */
const filled = Effect.gen(function* () {
  const filename = yield* newFile
  yield* Effect.scoped(
    Effect.gen(function* () {
      const store = yield* SqliteTaskStore.make({ filename })
      yield* store.add(
        Array.from({ length: 10 }, (_, index) =>
          Task.makeNew({ id: `task-${index}`, description: `work-${index}`, payload: { page: index } })
        )
      )
      yield* store.claim({ limit: 1, owner: "dead", lease: Duration.zero })
    })
  )
  const db = new DatabaseSync(filename)
  db.exec("PRAGMA journal_mode = DELETE")
  db.close()
  return filename
})

/** Changes the last occurrence of a text in a file, without changing its length. */
const damage = (filename: string, text: string, by: string) => {
  const bytes = readFileSync(filename)
  const at = bytes.lastIndexOf(text)
  assert.isAbove(at, 0)
  bytes.write(by, at)
  writeFileSync(filename, bytes)
  const db = new DatabaseSync(filename)
  assert.strictEqual(db.prepare("PRAGMA quick_check(1)").get()?.quick_check, "ok")
  db.close()
}

const runToEnd = (filename: string) =>
  Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    const store = yield* TaskStore.TaskStore
    const { reason } = yield* orchestrator.run
    assert.strictEqual(reason._tag, "Drained")
    const { completed, failed, in_progress, pending } = yield* store.counts
    return { completed, failed, in_progress, pending, listed: (yield* store.list()).tasks.length }
  }).pipe(
    Effect.provide(
      Orchestrator.layer({ leaseDuration: "300 millis" }).pipe(
        Layer.provideMerge(SqliteTaskStore.layer({ filename })),
        Layer.provide([Executor.layerFake(), Verifier.layerAlwaysPass, Safety.layerAllowAll, Logger.layer([])])
      )
    )
  )

describe("a run on a SQLite store with damage that quick_check does not see", () => {
  it.live("ends when an id is not as in the index", () =>
    Effect.gen(function* () {
      const filename = yield* filled
      damage(filename, "task-4", "tasx-4")
      const { completed, failed, in_progress, pending } = yield* runToEnd(filename)
      assert.deepStrictEqual([completed + failed, in_progress, pending], [10, 0, 0])
    })
  )

  it.live("ends when a status is none", () =>
    Effect.gen(function* () {
      const filename = yield* filled
      damage(filename, "task-4pending", "task-4pendinf")
      assert.deepStrictEqual(yield* runToEnd(filename), {
        completed: 9,
        failed: 1,
        in_progress: 0,
        pending: 0,
        listed: 10
      })
    })
  )

  it.live("ends when the status of a running task is none", () =>
    Effect.gen(function* () {
      const filename = yield* filled
      damage(filename, "task-0in_progress", "task-0in_progresq")
      assert.deepStrictEqual(yield* runToEnd(filename), {
        completed: 9,
        failed: 1,
        in_progress: 0,
        pending: 0,
        listed: 10
      })
    })
  )

  it.live("ends when a payload is not JSON", () =>
    Effect.gen(function* () {
      const filename = yield* filled
      damage(filename, '{"page":4}', '{"page":4 ')
      assert.deepStrictEqual(yield* runToEnd(filename), {
        completed: 9,
        failed: 1,
        in_progress: 0,
        pending: 0,
        listed: 10
      })
    })
  )
})
