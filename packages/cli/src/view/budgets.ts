/** The budgets of queues, for people and programs. */
import * as Budget from "@baton/core/Budget"
import { optionalNullOr } from "@baton/core/OptionalKey"
import * as Schema from "effect/Schema"
import { number, usd } from "./quantity.ts"
import { firstLine } from "./safeText.ts"

const Spent = Schema.Struct({ costUsd: Schema.Finite, tokens: Schema.Int })

/** A budget in the output of `baton budget` and `baton status`. */
export const QueueBudget = Schema.Struct({
  queue: Schema.String,
  /** Absent for no limit. */
  maxCostUsd: optionalNullOr(Schema.Finite),
  maxTokens: optionalNullOr(Schema.Int),
  /** Since the budget was set or reset. */
  spent: Spent,
  /** Set aside by attempts under way. */
  reserved: Spent
})

export interface QueueBudget extends Schema.Schema.Type<typeof QueueBudget> {}

const ofAmount = ({ nanoUsd, tokens }: Budget.Amount) => ({ costUsd: Budget.toUsd(nanoUsd), tokens })

export const queueBudget = ({ committed, limit, queue, reserved }: Budget.Budget): QueueBudget => ({
  queue,
  ...(limit.nanoUsd === undefined ? undefined : { maxCostUsd: Budget.toUsd(limit.nanoUsd) }),
  ...(limit.tokens === undefined ? undefined : { maxTokens: limit.tokens }),
  spent: ofAmount(committed),
  reserved: ofAmount(reserved)
})

/** A budget in one line, without the name of its queue. */
export const budgetText = ({ maxCostUsd, maxTokens, reserved, spent }: QueueBudget): string => {
  const parts = [
    maxCostUsd === undefined ? `${usd(spent.costUsd)} spent` : `${usd(spent.costUsd)} of ${usd(maxCostUsd)} spent`,
    ...(reserved.costUsd > 0 ? [`${usd(reserved.costUsd)} reserved`] : []),
    ...(maxTokens === undefined ? [] : [`${number(spent.tokens)} of ${number(maxTokens)} tokens used`]),
    ...(maxTokens !== undefined && reserved.tokens > 0 ? [`${number(reserved.tokens)} tokens reserved`] : [])
  ]
  return maxCostUsd === undefined && maxTokens === undefined ? `${parts.join(", ")}, no limit` : parts.join(", ")
}

/** A line for each budget. */
export const budgetLines = (budgets: ReadonlyArray<QueueBudget>): ReadonlyArray<string> =>
  budgets.map((budget) => `${firstLine(budget.queue)}: ${budgetText(budget)}`)
