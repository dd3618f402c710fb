/** The limits of a pipeline: those of each stage, which the store keeps, and those of all stages together. */
import * as Budget from "@baton/core/Budget"
import * as Safety from "@baton/core/Safety"
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type { RunParts } from "./runParts.ts"
import type { RunFlags } from "../settings/flags.ts"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import { usd } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import type { Pipeline, Stage } from "../pipelines/Pipeline.ts"

/**
 * Sets the limits of the stages, and limits the run to what remains of those of the pipeline: everything that any of its
 * stages has spent or reserved counts, in this run and in earlier ones.
 */
export const apply = Effect.fnUntraced(function* (
  parts: RunParts,
  pipeline: Pipeline,
  flags: RunFlags,
  stages: ReadonlyArray<{ readonly stage: Stage; readonly flags: RunFlags }>,
  store: TaskStore["Service"]
): Effect.fn.Return<RunParts, TaskStoreError | EndedWith> {
  const maxCost = flags.maxCost ?? pipeline.maxCost
  const maxTokens = flags.maxTokens ?? pipeline.maxTokens
  const isLimited = maxCost !== undefined || maxTokens !== undefined
  const ofStages = stages.some(({ flags }) => flags.maxCost !== undefined || flags.maxTokens !== undefined)
  if (!isLimited && !ofStages) return parts
  const { budgets } = store
  if (budgets === undefined) {
    yield* Effect.logWarning(
      "This store keeps no budgets: the limits of the pipeline limit this run alone, and those of its stages are ignored"
    )
    return limited(parts, maxCost?.value, maxTokens?.value)
  }
  const known = yield* budgets.list
  for (const { flags, stage } of stages) {
    const current = known.find(({ queue }) => queue === stage.queue)?.limit
    // Without a budget, the store does not keep what a stage spends.
    const cost = flags.maxCost ?? maxCost
    const tokens = flags.maxTokens ?? maxTokens
    const limit: Budget.BudgetLimit = {
      nanoUsd: cost === undefined ? undefined : Budget.toNanoUsd(cost.value, Math.floor),
      tokens: tokens?.value
    }
    if (current?.nanoUsd === limit.nanoUsd && current?.tokens === limit.tokens) continue
    yield* budgets.set(stage.queue, { limit: { nanoUsd: limit.nanoUsd ?? null, tokens: limit.tokens ?? null } })
  }
  if (!isLimited) return parts
  const queues = new Set(stages.map(({ stage }) => stage.queue))
  const spent = known
    .filter(({ queue }) => queues.has(queue))
    .reduce((sum, { committed, reserved }) => Budget.add(sum, Budget.add(committed, reserved)), Budget.zero)
  const cost = maxCost === undefined ? undefined : maxCost.value - Budget.toUsd(spent.nanoUsd)
  const tokens = maxTokens === undefined ? undefined : maxTokens.value - spent.tokens
  const usedUp = cost !== undefined && cost <= 0 ? maxCost : tokens !== undefined && tokens <= 0 ? maxTokens : undefined
  if (usedUp === undefined) return limited(parts, cost, tokens)
  const { in_progress, pending } = yield* store.counts
  if (pending + in_progress === 0) return parts
  const amounts =
    usedUp === maxCost
      ? `${usd(Budget.toUsd(spent.nanoUsd))} of ${usd(usedUp.value)} spent or reserved`
      : `${spent.tokens} of ${usedUp.value} tokens used or reserved`
  yield* printMessage(safeText(`The budget of the pipeline is used up: ${amounts}. To continue, raise ${usedUp.by}.`))
  return yield* new EndedWith({ exitCode: exitCodes.limitReached })
})

const limited = (parts: RunParts, maxCostUsd: number | undefined, maxTokens: number | undefined): RunParts => ({
  ...parts,
  safety: Safety.layerAll(parts.safety, Safety.layerBudget({ maxCostUsd, maxTokens })),
  left: { maxCostUsd, maxTokens }
})
