/**
 * Finds tasks by their ids.
 *
 * @since 0.1.0
 */
import type { Task, TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * The tasks with these ids, each once, in the order of the ids; and the ids that name none.
 *
 * @category getters
 * @since 0.1.0
 */
export const lookUp = Effect.fnUntraced(function* (
  ids: ReadonlyArray<TaskId>
): Effect.fn.Return<
  { readonly known: ReadonlyArray<Task>; readonly unknown: ReadonlyArray<TaskId> },
  TaskStoreError,
  TaskStore
> {
  const store = yield* TaskStore
  const asked = Arr.dedupe(ids)
  const found = yield* Effect.forEach(asked, (id) => store.get(id), { concurrency: 8 })
  return {
    known: Arr.getSomes(found),
    unknown: asked.filter((_, index) => Option.isNone(found[index] ?? Option.none()))
  }
})
