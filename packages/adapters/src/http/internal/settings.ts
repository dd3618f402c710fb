/** What can be set for the runs of a queue while they run, as `baton set` and `baton pause` do. */
import * as Budget from "@baton/core/Budget"
import type { BudgetChange, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import { StoreUnusable } from "../ApiError.ts"
import type { ChangeSettings, Settings } from "./model.ts"

/** The limits of a budget. Those that are left out stay. */
export const limitOf = ({
  maxCostUsd,
  maxTokens
}: {
  readonly maxCostUsd?: number | null | undefined
  readonly maxTokens?: number | null | undefined
}): BudgetChange["limit"] => ({
  ...(maxCostUsd === undefined
    ? undefined
    : { nanoUsd: maxCostUsd === null ? null : Budget.toNanoUsd(maxCostUsd, Math.floor) }),
  ...(maxTokens === undefined ? undefined : { tokens: maxTokens })
})

export const read = (store: TaskStore["Service"], queue: string): Effect.Effect<Settings, TaskStoreError> => {
  const { budgets, concurrency, pauses } = store
  return Effect.map(
    Effect.all([
      budgets?.list ?? Effect.succeed([]),
      pauses?.list ?? Effect.succeed([]),
      concurrency?.list ?? Effect.succeed([])
    ]),
    ([allBudgets, allPauses, allConcurrency]) => ({
      queue,
      budget: allBudgets.find((budget) => budget.queue === queue),
      pause: allPauses.find((pause) => pause.queue === queue),
      concurrency: allConcurrency.findLast((setting) => setting.queue === queue && setting.worker === undefined)
        ?.concurrency,
      canSet: { budget: budgets !== undefined, pause: pauses !== undefined, concurrency: concurrency !== undefined }
    })
  )
}

const cannot = (what: string) => new StoreUnusable({ message: `This store cannot ${what}. Nothing was changed.` })

/** Sets what the change names, all or nothing of what a store cannot keep. */
export const change = Effect.fnUntraced(function* (
  store: TaskStore["Service"],
  { concurrency, maxCostUsd, maxTokens, paused, queue }: ChangeSettings
): Effect.fn.Return<Settings, TaskStoreError | StoreUnusable> {
  const hasLimit = maxCostUsd !== undefined || maxTokens !== undefined
  if (hasLimit && store.budgets === undefined) return yield* cannot("keep budgets")
  if (concurrency !== undefined && store.concurrency === undefined)
    return yield* cannot("change the concurrency of running workers")
  if (paused !== undefined && store.pauses === undefined) return yield* cannot("pause a single queue")
  if (hasLimit) yield* store.budgets?.set(queue, { limit: limitOf({ maxCostUsd, maxTokens }) }) ?? Effect.void
  if (concurrency !== undefined) {
    yield* store.concurrency?.set({ queue, concurrency: concurrency ?? undefined }) ?? Effect.void
  }
  if (paused === true) {
    const reason = "Paused on the web page."
    yield* store.pauses?.pause(queue, { cause: "requested", reason }) ?? Effect.void
  }
  if (paused === false) yield* store.pauses?.resume(queue) ?? Effect.void
  return yield* read(store, queue)
})
