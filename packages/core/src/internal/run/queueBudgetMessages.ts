import * as Budget from "../../Budget.ts"
import type { Spend } from "../../Safety.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import { usd } from "../safety/runBudget.ts"

type Kind = "cost" | "tokens"

const spentOf = ({ committed, limit }: Budget.Budget, kind: Kind): string =>
  kind === "cost"
    ? `${usd(Budget.toUsd(committed.nanoUsd))} of ${usd(Budget.toUsd(limit.nanoUsd ?? 0))} spent`
    : `${committed.tokens} of ${limit.tokens ?? 0} tokens used`

/** The limit is reached. */
export const usedUp = (budget: Budget.Budget, kind: Kind): SafetyStop =>
  new SafetyStop({
    limit: kind,
    queue: budget.queue,
    message: `The budget of queue "${budget.queue}" is used up: ${spentOf(budget, kind)}.`
  })

/** The next call does not fit. */
export const refused = (budget: Budget.Budget, kind: Kind, { costUsd, tokens, what }: Spend): SafetyStop => {
  const call =
    kind === "cost"
      ? `the next call (${what}) can cost up to ${usd(costUsd ?? 0)}`
      : `the next call (${what}) can use up to ${tokens}`
  return new SafetyStop({
    limit: kind,
    queue: budget.queue,
    message: `The budget of queue "${budget.queue}" is used up: ${spentOf(budget, kind)}, and ${call}.`
  })
}

export const unknownPrice = (what: string): SafetyStop =>
  new SafetyStop({
    limit: "cost",
    message: `The price of ${what} is unknown, so a budget in USD cannot hold. Give its price, or drop the budget.`
  })

export const usageWithoutPrice: SafetyStop = new SafetyStop({
  limit: "cost",
  message:
    "An attempt reported usage without a price, so a budget in USD cannot hold. Give its price, or drop the budget."
})
