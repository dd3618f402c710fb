import type { TaskStore, TaskStoreError } from "@baton/core"
import { Effect, Layer, type Scope } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

/** A store in a new file. */
export const layerTemporary: Layer.Layer<TaskStore.TaskStore, TaskStoreError> = Layer.unwrap(
  Effect.map(newFile, (filename) => SqliteTaskStore.layer({ filename }))
)
