// Prints the state of every task, at the end of each program.
import { TaskStore } from "@baton/core"
import { Console, Effect } from "effect"

const icons = { pending: "○", in_progress: "▶", in_review: "?", completed: "✓", failed: "✗", cancelled: "-" }

export const printTasks = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  for (const task of (yield* store.list()).tasks) {
    const text = task.result ?? task.feedback
    yield* Console.log(
      `${icons[task.status]} ${task.id}: ${task.status}, attempts ${task.attempts}${text === undefined ? "" : `, ${text}`}`
    )
  }
})
