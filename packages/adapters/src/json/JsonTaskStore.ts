/**
 * A task store in one JSON file, which people and other programs can read and edit: the format of the orchestrator lab that
 * Baton grew from. For lists of up to about ten thousand tasks, used by one process at a time.
 *
 * **The file**
 *
 * ```json
 * {
 *   "tasks": [
 *     {
 *       "id": "task-001",
 *       "description": "Write a haiku about orchestration",
 *       "status": "completed",
 *       "result": "...",
 *       "attempts": 1,
 *       "metadata": {},
 *       "baton": {
 *         "verified": true,
 *         "createdAt": "2026-01-05T09:00:00.000Z",
 *         "updatedAt": "2026-01-05T09:00:07.000Z",
 *         "token": 1,
 *         "history": [
 *           {
 *             "number": 1,
 *             "token": 1,
 *             "owner": "worker-1",
 *             "startedAt": "2026-01-05T09:00:00.000Z",
 *             "endedAt": "2026-01-05T09:00:07.000Z",
 *             "outcome": "completed",
 *             "execution": { "confidence": 1, "metadata": {} }
 *           }
 *         ]
 *       }
 *     }
 *   ]
 * }
 * ```
 *
 * Only `id` and `description` are required. The file is written as Python's `json.dump(data, file, indent=2)` writes it;
 * characters other than ASCII are escaped unless the file already contains some. The lab's `max_attempts` limits the attempts
 * of its task, as the override `maxAttempts` does. Fields that Baton does not know, in a task or in the document, keep their
 * exact text, and so do tasks that do not change.
 *
 * The field `baton` of a task contains what the lab does not know, without the defaults: `queue`, `payload`, `overrides`,
 * `priority`, `availableAt`, `dependsOn`, `waitsFor` (the dependencies that have yet to complete), `concurrencyKey`,
 * `feedback`, `verified`, `requeues`, `usage`, `createdAt`, `updatedAt`, `token` (of the last lease), `checkpoint`, and `history`, the ledger of
 * attempts, which does not repeat the output that is the result. The lab has no status for a cancelled task: it is `failed`, with `"cancelled": true`.
 * A task in review is `failed` there too, with `inReview`, the attempt whose output waits for a person.
 * The field `baton` of the document contains `"paused": true` while runs are paused, the `budgets` and the `pauses` of queues, and
 * `tokenFloor`, the greatest token of the tasks that were deleted.
 *
 * **Guarantees**
 *
 * - An operation returns when its change is on the disk. Each write replaces the whole file, so after a crash the file
 *   contains the old contents or the new ones. Changes that arrive during a write are written together by the next one.
 * - One process at a time: an error names the process that has the file. The lock of a process that died is taken over.
 * - A task that is `in_progress` when the file is opened belongs to a worker that no longer exists. The next sweep ends its
 *   attempt.
 *
 * **Gotchas**
 *
 * - Edit the file only while no process uses it. A running process does not read edits: its next write keeps the edited
 *   version as `tasks.json.edited` and logs a warning. Where an edited field contradicts `baton`, the edited field is right: a
 *   task that is set back to `pending` is executed again.
 * - Every write writes the whole file.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Diagnosis } from "@baton/core/Diagnosis"
import * as PersistedTaskStore from "@baton/core/PersistedTaskStore"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { diagnose as diagnoseFile } from "./internal/diagnose.ts"
import * as Document from "./internal/document.ts"
import * as Errors from "./internal/errors.ts"
import * as TaskFile from "./internal/file.ts"
import * as Render from "./internal/render.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** The file. The first write creates it if it does not exist, with its folder, readable for this user alone. */
  readonly filename: string
  /** Whether to write the attempts of each task, which are most of the file. Default true. */
  readonly history?: boolean | undefined
}

/**
 * A store in the JSON file `filename`, which is locked for as long as the layer lives. If the file cannot be read, written
 * or locked, this fails with a `TaskStoreError` and leaves the file unchanged.
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
export const make = Effect.fnUntraced(function* ({
  filename,
  history = true
}: Options): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  const file = yield* TaskFile.open(filename)
  const document = yield* Effect.fromResult(
    Result.mapError(Document.read(file.text, file.writtenAt), (mistake) =>
      Errors.unusable(Errors.mistake(filename, mistake))
    )
  )
  const rendering = Render.make(document, { isAscii: document.isAscii, history })
  return yield* PersistedTaskStore.make({
    records: document.entries.map(({ record }) => record),
    ...document.settings,
    write: ({ removed, written, ...settings }) => {
      const { commit, contents } = rendering.prepare({ removed, written, settings })
      return Effect.tap(file.replace(contents), Effect.sync(commit))
    }
  }).pipe(
    // A document contains each id once.
    Effect.catchTag("TasksRefused", Effect.die)
  )
})

/**
 * Checks the file, its contents, its lock and its disk, and reports problems that a run would have. It writes nothing and
 * creates no file.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose: (options: { readonly filename: string }) => Effect.Effect<ReadonlyArray<Diagnosis>> =
  diagnoseFile
