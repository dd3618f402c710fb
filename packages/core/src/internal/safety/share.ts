import * as Budget from "../../Budget.ts"
import type { Reservation, Spend, SpendAmount } from "../../Safety.ts"

/**
 * A call that can be made with less than its worst case gets at most a fixed fraction of the remainder, so that many calls
 * run at the same time under a small budget, the last of them fits into a small rest, and the death of a worker, which commits
 * what its calls have reserved, costs little.
 */
const manyCalls = 256

/** The least amount with which a call can be made; undefined while it has to wait for a running call. */
export const leastOf = (spend: Spend, waiting: number): Budget.Amount | undefined => {
  const worst = worstOf(spend)
  if (spend.least === undefined) return worst
  const least = spend.least(waiting)
  return least === undefined ? undefined : smaller(amountOf(least), worst)
}

/**
 * The amount to reserve for a call: its share of the remainder, but not less than the least that it needs and not more than its
 * worst case. Undefined while it has to wait for a running call.
 */
export const shareOf = (
  spend: Spend,
  left: Budget.Amount,
  waiting: number,
  parts = manyCalls
): Budget.Amount | undefined => {
  const worst = worstOf(spend)
  const shares = Math.max(parts, waiting)
  if (worst.nanoUsd <= left.nanoUsd / shares && worst.tokens <= left.tokens / shares) return worst
  const least = leastOf(spend, waiting)
  if (least === undefined) return undefined
  const part = Math.min(
    portion(least.nanoUsd, worst.nanoUsd, left.nanoUsd / shares),
    portion(least.tokens, worst.tokens, left.tokens / shares)
  )
  // Whole tokens, because the call keeps to them; the money for this number of tokens.
  const tokens = Math.floor(least.tokens + part * (worst.tokens - least.tokens))
  const exact = worst.tokens > least.tokens ? (tokens - least.tokens) / (worst.tokens - least.tokens) : part
  return { tokens, nanoUsd: Math.ceil(least.nanoUsd + exact * (worst.nanoUsd - least.nanoUsd)) }
}

/** How far from `least` to `worst` an amount goes, from 0 to 1. */
const portion = (least: number, worst: number, amount: number): number =>
  worst <= least || amount >= worst ? 1 : Math.max(0, (amount - least) / (worst - least))

const smaller = (left: Budget.Amount, right: Budget.Amount): Budget.Amount => ({
  nanoUsd: Math.min(left.nanoUsd, right.nanoUsd),
  tokens: Math.min(left.tokens, right.tokens)
})

/** An amount that a call is granted. */
export const grantedOf = (spend: SpendAmount, { nanoUsd, tokens }: Budget.Amount): SpendAmount => ({
  costUsd: spend.costUsd === null ? null : Budget.toUsd(nanoUsd),
  tokens
})

const amountOf = ({ costUsd, tokens }: SpendAmount): Budget.Amount => ({
  nanoUsd: Budget.toNanoUsd(costUsd ?? 0),
  tokens
})

/** The most that a call can cost. */
export const worstOf = (spend: SpendAmount): Budget.Amount => amountOf(spend)

/** What the reason of a refusal states: the least amount that a call needs. */
export const neededBy = (spend: Spend, waiting: number): Spend => ({ ...spend, ...spend.least?.(waiting) })

/** The call as the next budget considers it, after one has granted less than the worst case. */
export const narrowed = (spend: Spend, { granted }: Reservation): Spend =>
  granted === undefined ? spend : { ...spend, costUsd: granted.costUsd, tokens: granted.tokens }
