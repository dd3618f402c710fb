/** Finds tasks by their ids. */
import { idInQueue, localId, type Task, TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CommandFailed } from "../system/CommandFailed.ts"
import { editDistance } from "../system/nearest.ts"
import { safeText } from "../view/safeText.ts"

/**
 * Looks up tasks by id, without duplicates and in order; also returns the unknown ids. A task may be called as in its
 * source, without its queue, if only one queue of the store has a task with this id, with its queue if the command works on
 * that queue alone, and as JSON writes its id.
 */
export const lookUp = Effect.fnUntraced(function* (
  ids: ReadonlyArray<TaskId>
): Effect.fn.Return<
  { readonly known: ReadonlyArray<Task>; readonly unknown: ReadonlyArray<TaskId> },
  TaskStoreError,
  TaskStore
> {
  const store = yield* TaskStore
  const unique = Arr.dedupe(ids)
  const findNamed = (id: TaskId) =>
    Effect.flatMap(store.get(id), (found) =>
      Option.isSome(found)
        ? Effect.succeed(found)
        : Effect.map(inEachQueue(id), (tasks) => (tasks.length === 1 ? Arr.head(tasks) : Option.none()))
    )
  const find = (id: TaskId) =>
    Effect.flatMap(findNamed(id), (found) =>
      Option.match(Option.isSome(found) ? Option.none() : quotedId(id), {
        onNone: () => Effect.succeed(found),
        onSome: findNamed
      })
    )
  const found = yield* Effect.forEach(unique, find, { concurrency: 8 })
  return {
    known: Arr.dedupeWith(Arr.getSomes(found), (one, other) => one.id === other.id),
    unknown: unique.filter((_, index) => Option.isNone(found[index] ?? Option.none()))
  }
})

/** An id as JSON writes it: an argument of a command line cannot contain U+0000 or half of a surrogate pair. */
const quotedId = Schema.decodeUnknownOption(Schema.fromJsonString(TaskId))

/** The tasks that have this id in the source of their queue, or with their queue before it. */
const inEachQueue = Effect.fnUntraced(function* (
  id: string
): Effect.fn.Return<ReadonlyArray<Task>, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const queues = yield* store.queues
  const candidates = queues.flatMap(({ queue }) => {
    const local = TaskId.make(localId({ id, queue }))
    return [idInQueue(queue, id), ...(local === id ? [] : [local])].map((id) => ({ id, queue }))
  })
  const find = ({ id, queue }: (typeof candidates)[number]) =>
    Effect.map(
      store.get(id),
      Option.filter((task) => task.queue === queue)
    )
  return Arr.getSomes(yield* Effect.forEach(candidates, find, { concurrency: 8 }))
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
  const inQueues = (yield* inEachQueue(id)).map((task) => safeText(task.id))
  if (inQueues.length > 0) {
    return yield* new CommandFailed({
      message: `Several queues have a task ${safeText(id)}: ${inQueues.join(", ")}. Name its queue, as in ${inQueues[0]}.`
    })
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
    Effect.map(store.list({ results: false, limit: maxCompared }), ({ tasks }) =>
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
