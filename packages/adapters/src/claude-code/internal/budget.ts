import type { Spend } from "@baton/core/Safety"
import type { Usage } from "@baton/core/Usage"

/** A share of the limit that is set aside besides, until more has been seen. */
const margin = 0.5

/**
 * What is set aside for a session. Claude Code looks at what it has spent after each turn, so the last turn comes on top
 * of its limit, and so does what subagents are about at that moment. How much that is depends on the work: half of the
 * limit is set aside for it, or the most that a session of this executor went over it.
 */
export const reservations = (maxBudgetUsd: number | undefined) => {
  if (maxBudgetUsd === undefined) {
    const unknown: Spend = { costUsd: null, tokens: 0, what: 'Claude Code without "maxBudgetUsd"' }
    return { worstCase: () => unknown, learn: () => {} }
  }
  let over = maxBudgetUsd * margin
  return {
    worstCase: (): Spend => ({ costUsd: maxBudgetUsd + over, tokens: 0, what: "Claude Code" }),
    learn: (usage: Usage | null) => {
      if (usage !== null) over = Math.max(over, (usage.costUsd ?? 0) - maxBudgetUsd)
    }
  }
}
