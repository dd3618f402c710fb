/** Finds tasks by their ids. */
import type { Task, TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CommandFailed } from "../system/CommandFailed.ts"
import { editDistance } from "../system/nearest.ts"
import { safeText } from "../view/safeText.ts"

/** Looks up tasks by id, without duplicates and in order; also returns the unknown ids. */
export const lookUp = Effect.fnUntraced(function* (
  ids: ReadonlyArray<TaskId>
): Effect.fn.Return<
  { readonly known: ReadonlyArray<Task>; readonly unknown: ReadonlyArray<TaskId> },
  TaskStoreError,
  TaskStore
> {
  const store = yield* TaskStore
  const unique = Arr.dedupe(ids)
  const found = yield* Effect.forEach(unique, (id) => store.get(id), { concurrency: 8 })
  return {
    known: Arr.getSomes(found),
    unknown: unique.filter((_, index) => Option.isNone(found[index] ?? Option.none()))
  }
})

/** Fails if there are unknown ids; suggests similar ids for a single one. */
export const failOnUnknown = Effect.fnUntraced(function* (
  unknown: ReadonlyArray<string>
): Effect.fn.Return<void, CommandFailed | TaskStoreError, TaskStore> {
  const [id] = unknown
  if (id === undefined) return
  if (unknown.length > 1) {
    return yield* new CommandFailed({ message: `The tasks ${unknown.map(safeText).join(", ")} do not exist.` })
  }
  const close = (yield* closeIds(id)).map(safeText)
  const hint = close.length === 0 ? "`baton list` lists all tasks." : `Did you mean ${close.join(" or ")}?`
  return yield* new CommandFailed({ message: `The task ${safeText(id)} does not exist. ${hint}` })
})

/** Only the first tasks are compared, to keep the error fast. */
const maxCompared = 200
const maxSuggestions = 3

/** Ids that are similar to an unknown one, the most similar first. */
const closeIds = (id: string): Effect.Effect<ReadonlyArray<string>, TaskStoreError, TaskStore> =>
  TaskStore.use((store) =>
    Effect.map(store.list({ limit: maxCompared }), ({ tasks }) =>
      tasks
        .map((task) => ({ id: task.id, distance: distance(id, task.id) }))
        .filter((candidate) => candidate.distance <= Math.max(1, id.length / 3))
        .sort((left, right) => left.distance - right.distance)
        .slice(0, maxSuggestions)
        .map((candidate) => candidate.id)
    )
  )

/** The edit distance; a prefix of an id counts as one edit. */
const distance = (typed: string, id: string): number => {
  if (typed.length >= 3 && id.startsWith(typed)) return 1
  // Bounded, because ids can have any length.
  return Math.abs(typed.length - id.length) > typed.length / 3 ? Infinity : editDistance(typed, id)
}
