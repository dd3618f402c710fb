/**
 * A task store in one JSON file, which people and other programs can read and edit: the format of the orchestrator lab that
 * Baton grew from. For lists of up to some ten thousand tasks and one process at a time.
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
 *             "execution": { "confidence": 1, "usage": null, "metadata": {} }
 *           }
 *         ]
 *       }
 *     }
 *   ]
 * }
 * ```
 *
 * `id` and `description` have to be there. It is written as Python's `json.dump(data, file, indent=2)` writes it; what is not
 * ASCII is escaped unless the file has such characters already. Fields that Baton does not know (`max_attempts`, say), of a
 * task or of the whole, stay as they are, to the letter, and so do tasks that do not change.
 *
 * What Baton knows beyond the lab is under `baton`, and only what is not as it is by default: `priority`, `availableAt`,
 * `dependsOn` (and `waitsFor`, those of them that have yet to complete), `feedback`, `verified`, `requeues`, `usage`,
 * `createdAt`, `updatedAt`, `token` (of the last lease), `checkpoint`, and `history`, the ledger of attempts, in which the
 * output that is the result is not repeated. A cancelled task has the status `failed`, as the lab knows no other, and
 * `"cancelled": true`. Next to `tasks`, the file has `"baton": { "paused": true }` while its runs are paused, and there
 * `tokenFloor`, the greatest token of the tasks that were deleted, once there are any.
 *
 * **Guarantees**
 *
 * - An operation returns when its change is on the disk. Each write replaces the file as a whole, so that a crash leaves the
 *   old contents or the new ones; changes that come while one is under way are written together by the next.
 * - One process at a time: a second one is told who has the file. What a process left that died is taken over.
 * - A task that is `in_progress` when the file is opened was left by a worker that is gone, and is taken back by the next
 *   sweep.
 *
 * **Gotchas**
 *
 * - Edit the file while no process uses it. What is edited meanwhile is not read: the next write sets the edited version
 *   aside, as `tasks.json.edited`, and logs a warning. Where an edited field contradicts what is under `baton`, the field of
 *   the lab counts: a task that is set back to `pending` is done again.
 * - Every write writes the whole file.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as PersistedTaskStore from "@baton/core/PersistedTaskStore"
import type { Diagnosis } from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Document from "./internal/document.ts"
import { diagnose as diagnoseFile } from "./internal/diagnose.ts"
import * as Errors from "./internal/errors.ts"
import * as TaskFile from "./internal/file.ts"
import * as Render from "./internal/render.ts"
import * as Texts from "./internal/texts.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** Where the file is. It is made by the first write where there is none, and its folder too, readable for this user alone. */
  readonly filename: string
  /** Whether the attempts of each task are written too. Default true; they are most of the file. */
  readonly history?: boolean | undefined
}

/**
 * A store in the JSON file `filename`, which is locked for as long as the layer lives. Fails with a `TaskStoreError` of one
 * sentence, and leaves the file as it is, when it cannot be read, written or had.
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
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  const { filename } = options
  const file = yield* TaskFile.open(filename)
  const document = yield* Effect.fromResult(
    Result.mapError(Document.read(file.text, file.writtenAt), (mistake) =>
      Errors.unusable(Errors.mistake(filename, mistake))
    )
  )
  const { ending, entries, isAscii } = document
  const manner: Render.Manner = { isAscii, history: options.history ?? true }
  const encode = (text: string) => Buffer.from(text, isAscii ? "latin1" : "utf8")

  const texts = Texts.make(encode)
  texts
    .prepare(
      [],
      entries.map((entry) => [entry.record.task.id, entry] as const)
    )
    .commit()
  let frame = Render.frame(document.fields, ending, manner)
  let { shared } = document

  const write = Effect.fnUntraced(function* (changes: PersistedTaskStore.Changes) {
    const gone = new Set(changes.removed)
    const { commit, parts } = texts.prepare(
      gone,
      changes.written.map((record) => {
        const { id } = record.task
        const fields = gone.has(id) ? undefined : texts.get(id)?.fields
        return [id, { text: Render.task(record, fields, manner), fields }] as const
      })
    )
    const nextFrame =
      changes.paused === shared.paused && changes.tokenFloor === shared.tokenFloor
        ? frame
        : Render.frame(Render.withShared(document.fields, changes, manner), ending, manner)
    yield* file.replace(contents(nextFrame, parts, encode))
    commit()
    frame = nextFrame
    shared = { paused: changes.paused, tokenFloor: changes.tokenFloor }
  })

  return yield* PersistedTaskStore.make({ records: entries.map(({ record }) => record), ...shared, write }).pipe(
    // The document has no id twice.
    Effect.catchTag("TasksRefused", Effect.die)
  )
})

const contents = function* (
  frame: Render.Frame,
  parts: ReadonlyArray<Uint8Array>,
  encode: (text: string) => Uint8Array
): Generator<Uint8Array, void> {
  if (parts.length === 0) return void (yield encode(frame.empty))
  const between = encode(frame.between)
  yield encode(frame.start)
  for (const [index, part] of parts.entries()) {
    if (index > 0) yield between
    yield part
  }
  yield encode(frame.end)
}

/**
 * Looks at the file, what is in it, who uses it, and its disk, and says what would be in the way of a run. Writes nothing, and makes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose: (options: { readonly filename: string }) => Effect.Effect<ReadonlyArray<Diagnosis>> =
  diagnoseFile
