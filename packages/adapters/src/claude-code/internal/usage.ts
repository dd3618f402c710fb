import * as Usage from "@baton/core/Usage"
import type { Result } from "./messages.ts"
import type { Session } from "./session.ts"

/**
 * What a session used; null when nobody can say, because it was cut off. All models together, those of subagents
 * included, and without a cost where one of the prices was guessed.
 */
export const usageOf = ({ answered, result, unauthorized }: Session): Usage.Usage | null => {
  if (result === null) return unauthorized && !answered ? Usage.zero : null
  const models = Object.values(result.modelUsage ?? {})
  const sum = (count: (model: (typeof models)[number]) => number | null | undefined) =>
    models.reduce((total, model) => total + Math.trunc(count(model) ?? 0), 0)
  return {
    inputTokens: sum((model) => model.inputTokens),
    outputTokens: sum((model) => model.outputTokens),
    cacheReadTokens: sum((model) => model.cacheReadInputTokens),
    cacheWriteTokens: sum((model) => model.cacheCreationInputTokens),
    costUsd: models.some(({ costBasis }) => costBasis === "unknown") ? null : (result.total_cost_usd ?? null)
  }
}

/** What each model of a session cost, for those with more than one; null where the price was guessed. */
export const costByModel = ({ modelUsage }: Result): Record<string, number | null> | undefined => {
  const entries = Object.entries(modelUsage ?? {})
  return entries.length < 2
    ? undefined
    : Object.fromEntries(
        entries.map(([model, { costBasis, costUSD }]) => [model, costBasis === "unknown" ? null : (costUSD ?? null)])
      )
}
