/** What a queue spent of its budget. */
import * as QueueBudget from "@baton/core/Budget"
import type { Budget } from "../schema.ts"
import { count, number, usd } from "./format.ts"

export interface Spent {
  readonly text: string
  /** The parts of the limit, from 0 to 1. */
  readonly committed: number
  readonly reserved: number
}

const partsOf = (committed: number, reserved: number, limit: number) => {
  const share = limit === 0 ? 1 : Math.min(1, committed / limit)
  return { committed: share, reserved: limit === 0 ? 0 : Math.min(1 - share, reserved / limit) }
}

const money = (nanoUsd: number): string => usd(QueueBudget.toUsd(nanoUsd))

/** One entry for each limit, and one for a budget without a limit. */
export const spent = ({ committed, limit, reserved }: Budget): ReadonlyArray<Spent> => {
  const result: Array<Spent> = []
  if (limit.nanoUsd !== undefined) {
    const held = reserved.nanoUsd === 0 ? "" : `, ${money(reserved.nanoUsd)} reserved`
    result.push({
      text: `${money(committed.nanoUsd)} of ${money(limit.nanoUsd)} spent${held}`,
      ...partsOf(committed.nanoUsd, reserved.nanoUsd, limit.nanoUsd)
    })
  }
  if (limit.tokens !== undefined) {
    const held = reserved.tokens === 0 ? "" : `, ${number(reserved.tokens)} reserved`
    result.push({
      text: `${number(committed.tokens)} of ${count(limit.tokens, "token")} used${held}`,
      ...partsOf(committed.tokens, reserved.tokens, limit.tokens)
    })
  }
  return result.length > 0
    ? result
    : [{ text: `${money(committed.nanoUsd)} spent, no limit`, committed: 0, reserved: 0 }]
}

/** Whether everything that may be spent was spent. */
export const isSpent = ({ committed, limit }: Budget): boolean => QueueBudget.reached(limit, committed) !== undefined
