import type { TaskStore, TaskStoreError } from "@baton/core"
import { Effect, Layer, type Scope } from "effect"
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { SqliteTaskStore } from "@baton/adapters/sqlite"

/** A disk in memory, if there is one: the tests flush hundreds of small files. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

/** A new folder that is removed when the scope is closed. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(parent, "baton-sqlite-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The name of a file that does not exist yet, in a folder that is removed after the test. */
export const newFile = Effect.map(folder, (path) => join(path, "baton.db"))

/**
 * Files of empty stores for many short cases. They are copies of one file, because creating a store takes longer than most
 * cases.
 */
export const copiedFiles = (): Effect.Effect<string, TaskStoreError, Scope.Scope> => {
  let empty: string | undefined
  afterAll(() => empty !== undefined && rmSync(dirname(empty), { recursive: true, force: true }))
  const create = Effect.suspend(() => {
    const filename = join(mkdtempSync(join(parent, "baton-sqlite-")), "baton.db")
    return Effect.as(Effect.scoped(SqliteTaskStore.make({ filename })), (empty = filename))
  })
  return Effect.gen(function* () {
    const filename = yield* newFile
    copyFileSync(empty ?? (yield* create), filename)
    return filename
  })
}

/** A store in a new file. */
export const layerTemporary: Layer.Layer<TaskStore.TaskStore, TaskStoreError> = Layer.unwrap(
  Effect.map(newFile, (filename) => SqliteTaskStore.layer({ filename }))
)
