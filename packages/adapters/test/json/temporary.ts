import { TaskRecord, TaskStore, type TaskStoreError } from "@baton/core"
import { Effect, Layer, Schema, Scope } from "effect"
// Compares thousands of records several times as fast as the other `assert`.
import * as assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { JsonTaskStore } from "@baton/adapters/json"

/** A disk in memory, if there is one: the tests flush hundreds of small files. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

/** A new folder that is removed when the scope is closed. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(parent, "baton-json-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const dumpAll = (store: TaskStore.TaskStore["Service"]) =>
  Effect.map(store.dump({ limit: 1_000_000 }), ({ records }) => records)

const plain = Schema.encodeSync(TaskRecord.TaskRecord)

/** The part of a record that stays the same when the file is opened again: everything but the lease. */
export const lasting = (record: TaskRecord.TaskRecord, options?: { readonly history?: boolean | undefined }) => {
  const { attempts, leaseUntil, ...rest } = plain(record)
  return { ...rest, isLeased: leaseUntil !== undefined, attempts: options?.history === false ? undefined : attempts }
}

/** The name of a file that does not exist yet, in a folder that is removed after the test. */
export const newFile = Effect.map(folder, (path) => join(path, "tasks.json"))

/** The store in a file. Each time it is closed, the file has to contain everything that the store contained. */
export const layerChecked = (
  filename: string,
  options?: Omit<JsonTaskStore.Options, "filename">
): Layer.Layer<TaskStore.TaskStore, TaskStoreError> =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      const store = yield* Scope.provide(JsonTaskStore.make({ ...options, filename }), inner)
      yield* Effect.addFinalizer((exit) =>
        Effect.gen(function* () {
          yield* Scope.close(inner, exit)
          const before = yield* dumpAll(store)
          const after = yield* Effect.scoped(Effect.flatMap(JsonTaskStore.make({ filename }), dumpAll))
          assert.deepStrictEqual(
            after.map((record) => lasting(record, options)),
            before.map((record) => lasting(record, options))
          )
        }).pipe(Effect.orDie)
      )
      return store
    })
  )
