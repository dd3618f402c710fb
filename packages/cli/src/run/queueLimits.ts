/** The limits of a run that the store keeps for its queue. */
import * as Budget from "@baton/core/Budget"
import * as Safety from "@baton/core/Safety"
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { RunFlags } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { safeText } from "../view/safeText.ts"
import type { RunParts } from "./runParts.ts"

type Queues = Arr.NonEmptyReadonlyArray<string>

/** Refuses a limit of a queue for a run of several queues, each of which could spend all of it. */
export const checkQueues = (flags: RunFlags, queues: Queues): Effect.Effect<void, CommandFailed> => {
  const limit = flags.maxCost ?? flags.maxTokens
  if (limit === undefined || queues.length === 1) return Effect.void
  return Effect.fail(
    new CommandFailed({
      message: `${limit.by} limits one queue, and this run has ${queues.length}: ${queues.map(safeText).join(", ")}. Put the sources into one queue with --queue NAME, or limit the run with ${limit === flags.maxCost ? "--max-cost-per-run" : "--max-tokens-per-run"}.`
    })
  )
}

/**
 * Sets the budget of the queue to the limits of the flags. A store that keeps no budgets gets a warning, and the limits
 * become those of the run. Returns the parts of the run with the limits that remain to it.
 */
export const apply = Effect.fnUntraced(function* (
  parts: RunParts,
  flags: RunFlags,
  store: TaskStore["Service"],
  queues: Queues
): Effect.fn.Return<RunParts, CommandFailed | TaskStoreError> {
  yield* checkQueues(flags, queues)
  const { maxCost, maxTokens } = flags
  const limit = maxCost ?? maxTokens
  const { budgets } = store
  if (budgets === undefined) {
    if (limit === undefined) return parts
    yield* Effect.logWarning(
      `This store keeps no budgets: ${limit.by} limits this run alone, and other runs can spend as much again`
    )
    const ofRun = Safety.layerBudget({ maxCostUsd: maxCost?.value, maxTokens: maxTokens?.value })
    const left = { maxCostUsd: maxCost?.value, maxTokens: maxTokens?.value }
    return { ...parts, safety: Safety.layerAll(parts.safety, ofRun), left }
  }
  const [queue] = queues
  const current = (yield* budgets.list).find((budget) => budget.queue === queue)
  const limits: Budget.BudgetLimit = {
    nanoUsd: maxCost === undefined ? current?.limit.nanoUsd : Budget.toNanoUsd(maxCost.value, Math.floor),
    tokens: maxTokens?.value ?? current?.limit.tokens
  }
  const isSame = current?.limit.nanoUsd === limits.nanoUsd && current?.limit.tokens === limits.tokens
  if (limit !== undefined && !isSame) {
    yield* budgets.set(queue, {
      limit: {
        ...(maxCost === undefined ? undefined : { nanoUsd: limits.nanoUsd }),
        ...(maxTokens === undefined ? undefined : { tokens: limits.tokens })
      }
    })
  }
  return { ...parts, left: leftOf(limits, current?.committed ?? Budget.zero) }
})

/** What remains of limits. */
const leftOf = ({ nanoUsd, tokens }: Budget.BudgetLimit, committed: Budget.Amount): RunParts["left"] => ({
  maxCostUsd: nanoUsd === undefined ? undefined : Budget.toUsd(Math.max(0, nanoUsd - committed.nanoUsd)),
  maxTokens: tokens === undefined ? undefined : Math.max(0, tokens - committed.tokens)
})
