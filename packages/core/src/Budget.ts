/**
 * The amount that a queue may spend, over all its workers and runs.
 *
 * A store keeps a budget for each queue that was given one: its limits, the amount spent since, and the amounts that running attempts
 * have reserved. A call reserves its worst case before it is made. A reservation is granted only if committed and reserved
 * amounts and the new one together stay within the limit, which the store checks in the write that grants it. When a worker
 * dies, the sweep of its leases commits their reservations.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"
import * as Usage from "./Usage.ts"

const Whole = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Money and tokens. Money is in whole nano-dollars, because sums of floating-point numbers drift.
 *
 * @category models
 * @since 0.2.0
 */
export const Amount = Schema.Struct({ nanoUsd: Whole, tokens: Whole })

/** @since 0.2.0 */
export interface Amount extends Schema.Schema.Type<typeof Amount> {}

/**
 * The most that a queue may spend. An absent key means no limit.
 *
 * @category models
 * @since 0.2.0
 */
export const BudgetLimit = Schema.Struct({ nanoUsd: optionalNullOr(Whole), tokens: optionalNullOr(Whole) })

/** @since 0.2.0 */
export interface BudgetLimit extends Schema.Schema.Type<typeof BudgetLimit> {}

/**
 * The budget of a queue. `committed` was spent since the budget was set or reset, `reserved` is set aside by running attempts.
 *
 * @category models
 * @since 0.2.0
 */
export const Budget = Schema.Struct({
  queue: Schema.String,
  limit: BudgetLimit,
  committed: Amount,
  reserved: Amount
})

/** @since 0.2.0 */
export interface Budget extends Schema.Schema.Type<typeof Budget> {}

/**
 * No money and no tokens.
 *
 * @category constructors
 * @since 0.2.0
 */
export const zero: Amount = { nanoUsd: 0, tokens: 0 }

/**
 * Adds two amounts.
 *
 * @category combinators
 * @since 0.2.0
 */
export const add = (left: Amount, right: Amount): Amount => ({
  nanoUsd: left.nanoUsd + right.nanoUsd,
  tokens: left.tokens + right.tokens
})

/**
 * Subtracts an amount.
 *
 * @category combinators
 * @since 0.2.0
 */
export const subtract = (left: Amount, right: Amount): Amount => ({
  nanoUsd: left.nanoUsd - right.nanoUsd,
  tokens: left.tokens - right.tokens
})

/**
 * By how much an amount grows to reach another one: zero for a larger amount.
 *
 * @category combinators
 * @since 0.2.0
 */
export const increase = (from: Amount, to: Amount): Amount => ({
  nanoUsd: Math.max(0, to.nanoUsd - from.nanoUsd),
  tokens: Math.max(0, to.tokens - from.tokens)
})

/**
 * Whether an amount is nothing.
 *
 * @category getters
 * @since 0.2.0
 */
export const isZero = ({ nanoUsd, tokens }: Amount): boolean => nanoUsd === 0 && tokens === 0

/**
 * The part of a limit that an amount exceeds, if any. An amount that is not a number exceeds every limit.
 *
 * @category getters
 * @since 0.2.0
 */
export const exceeded = (limit: BudgetLimit, amount: Amount): "cost" | "tokens" | undefined => {
  if (limit.nanoUsd !== undefined && !(amount.nanoUsd <= limit.nanoUsd)) return "cost"
  if (limit.tokens !== undefined && !(amount.tokens <= limit.tokens)) return "tokens"
  return undefined
}

/**
 * The part of a limit that an amount has reached, if any. Spending nothing reaches no limit.
 *
 * @category getters
 * @since 0.2.0
 */
export const reached = (limit: BudgetLimit, amount: Amount): "cost" | "tokens" | undefined => {
  if (limit.nanoUsd !== undefined && amount.nanoUsd > 0 && amount.nanoUsd >= limit.nanoUsd) return "cost"
  if (limit.tokens !== undefined && amount.tokens > 0 && amount.tokens >= limit.tokens) return "tokens"
  return undefined
}

/**
 * An amount of money in whole nano-dollars, rounded up unless told otherwise. Digits beyond a thousandth of a nano-dollar
 * are floating-point noise.
 *
 * @category constructors
 * @since 0.2.0
 */
export const toNanoUsd = (usd: number, round: (value: number) => number = Math.ceil): number =>
  round(Number((usd * 1e9).toFixed(3)))

/**
 * Whole nano-dollars in USD.
 *
 * @category getters
 * @since 0.2.0
 */
export const toUsd = (nanoUsd: number): number => nanoUsd / 1e9

/**
 * The amount of a usage. An unknown usage counts with its upper bound, and a partly known price with its known part.
 *
 * @category constructors
 * @since 0.2.0
 */
export const ofUsage = (usage: Usage.Usage | undefined): Amount =>
  usage === undefined
    ? zero
    : {
        nanoUsd: whole(toNanoUsd(Usage.maxUsd(usage) ?? Usage.minUsd(usage))),
        tokens: whole(Usage.maxTokens(usage))
      }

/** Every database holds this range. */
const whole = (value: number): number => Math.min(Math.max(0, value), Number.MAX_SAFE_INTEGER)
