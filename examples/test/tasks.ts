import { TaskStore } from "@baton/core"
import { Effect } from "effect"

/**
 * Waits until a task of the queue has this status and at least this number of attempts. `between` lets time pass: on a test
 * clock, by moving it.
 */
export const firstOf = Effect.fnUntraced(function* (
  queue: string,
  status: "in_review" | "completed",
  options: { readonly attempts?: number; readonly between: Effect.Effect<void> }
) {
  const store = yield* TaskStore.TaskStore
  while (true) {
    const { tasks } = yield* store.list({ queue, status })
    const task = tasks.find((task) => task.attempts >= (options.attempts ?? 1))
    if (task !== undefined) return task
    yield* options.between
  }
})
