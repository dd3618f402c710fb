/**
 * A task store in one SQLite file, on Node's built-in `node:sqlite`: the embedded default. Any number of processes on one
 * machine can share the file, which has to be on a local disk.
 *
 * A completed write survives a crash of the process, and with `synchronous: "FULL"` also a crash of the machine. The driver
 * is synchronous: each call blocks the thread while it runs, for about 10 microseconds per task and one flush of the disk.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Diagnosis } from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import * as TaskStoreDriver from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Connection from "./internal/connection.ts"
import { diagnose as diagnoseFile } from "./internal/diagnose.ts"
import * as Driver from "./internal/driver.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** The file. It is created if it does not exist, with its folder, readable for this user alone. */
  readonly filename: string
  /**
   * `FULL` (the default): a write is on the disk when the operation returns. `NORMAL`: faster for single tasks, but a power
   * failure can undo the writes of the last seconds; the file stays consistent.
   */
  readonly synchronous?: "FULL" | "NORMAL" | undefined
}

/**
 * A store in the SQLite file `filename`, which is open for as long as the layer lives. If the file is not a Baton store, is
 * damaged, cannot be written or has a newer schema, this fails with a `TaskStoreError` and leaves the file unchanged.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/**
 * The store without its layer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({
  filename,
  synchronous = "FULL"
}: Options): Effect.Effect<TaskStore["Service"], TaskStoreError, Scope.Scope> =>
  Effect.flatMap(Connection.open({ filename, synchronous }), (connection) =>
    TaskStoreDriver.make(Driver.make(connection))
  )

/**
 * Checks the file, its contents and its disk, and reports problems that a run would have. It writes nothing and creates no
 * file.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose: (options: { readonly filename: string }) => Effect.Effect<ReadonlyArray<Diagnosis>> =
  diagnoseFile
