/** Reads lists of tasks without having many large results in memory. */
import type * as Tasks from "@baton/core/Task"
import type { ListQuery, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"

/** The target size of a part: large compared to the cost of a request, and small enough for memory. */
const charactersPerPart = 4 * 1024 * 1024
const maxTasksPerPart = 500
/** The first part is small, because each result can have ten megabytes. */
const firstPart = 20

/**
 * Reads up to `limit` tasks, without their results unless the query says so, in parts, whose size adapts to that of the tasks, and keeps what `keep` returns of each one.
 * Returns the cursor of the task after the last one.
 */
export const read = Effect.fnUntraced(function* <A>(
  store: TaskStore["Service"],
  query: Omit<ListQuery, "limit"> & { readonly limit: number },
  keep: (task: Tasks.Task) => A
): Effect.fn.Return<{ readonly kept: ReadonlyArray<A>; readonly next?: string | undefined }, TaskStoreError> {
  const kept: Array<A> = []
  let size = firstPart
  let cursor = query.cursor
  while (true) {
    const page = yield* store.list({
      results: false,
      ...query,
      cursor,
      limit: Math.min(size, query.limit - kept.length)
    })
    for (const task of page.tasks) kept.push(keep(task))
    if (page.next === undefined || kept.length >= query.limit) return { kept, next: page.next }
    size = sizeAfter(page.tasks)
    cursor = page.next
  }
})

const sizeAfter = (tasks: ReadonlyArray<Tasks.Task>): number => {
  const characters = tasks.reduce((sum, task) => sum + task.description.length + (task.result?.length ?? 0), 1)
  return Math.min(maxTasksPerPart, Math.max(1, Math.floor((charactersPerPart * tasks.length) / characters)))
}
