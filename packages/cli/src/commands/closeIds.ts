/**
 * Ids that someone may have meant.
 *
 * @since 0.1.0
 */
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"

/** A look at the beginning of the store; more than that is not worth a suggestion. */
const looked = 200
const most = 3

/**
 * The ids closest to one that does not exist, the closest first; none when nothing is close.
 *
 * @category getters
 * @since 0.1.0
 */
export const closeIds = (id: string): Effect.Effect<ReadonlyArray<string>, TaskStoreError, TaskStore> =>
  TaskStore.use((store) =>
    Effect.map(store.list({ limit: looked }), ({ tasks }) =>
      tasks
        .map((task) => ({ id: task.id, distance: distance(id, task.id) }))
        .filter((candidate) => candidate.distance <= Math.max(1, id.length / 3))
        .sort((left, right) => left.distance - right.distance)
        .slice(0, most)
        .map((candidate) => candidate.id)
    )
  )

/** Edits from one to the other; the start of an id is as good as one edit. */
const distance = (typed: string, id: string): number => {
  if (typed.length >= 3 && id.startsWith(typed)) return 1
  // Bounded, for a store may hold ids of any length.
  if (Math.abs(typed.length - id.length) > typed.length / 3) return Infinity
  let previous = Array.from({ length: id.length + 1 }, (_, column) => column)
  for (let row = 1; row <= typed.length; row++) {
    const current = [row]
    for (let column = 1; column <= id.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (typed[row - 1] === id[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[id.length] ?? Infinity
}
