/** The queues of a store with their budgets and pauses, and its control state. */
import type { Control as StoreControl, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type { Control, Overview } from "./model.ts"
import * as Workers from "./workers.ts"

export const control = ({ paused, stops }: StoreControl): Control => ({ paused, stops })

export const read = (
  store: TaskStore["Service"]
): Effect.Effect<Pick<Overview, "queues" | "control">, TaskStoreError> =>
  Effect.map(
    Effect.all([
      store.queues,
      store.control,
      store.workers,
      store.budgets?.list ?? Effect.succeed([]),
      store.pauses?.list ?? Effect.succeed([])
    ]),
    ([queues, state, workers, budgets, pauses]) => {
      const workersOf = Workers.byQueue(workers)
      const pauseOf = new Map(pauses.map(({ cause, queue, reason, until }) => [queue, { cause, until, reason }]))
      const budgetOf = new Map(budgets.map(({ queue, ...budget }) => [queue, budget]))
      return {
        queues: queues.map((counts) => ({
          ...counts,
          workers: workersOf(counts.queue),
          budget: budgetOf.get(counts.queue),
          pause: pauseOf.get(counts.queue)
        })),
        control: control(state)
      }
    }
  )
