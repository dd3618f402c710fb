/**
 * What an attempt used: tokens by kind, and money when the price is known.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Usd = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Tokens by kind and cost in USD. `costUsd: null` means that something was used whose price is unknown, or of which nobody
 * can say how much it was; it is never shown or counted as zero.
 *
 * @category models
 * @since 0.1.0
 */
export const Usage = Schema.Struct({
  /** Input tokens that were neither read from nor written to a prompt cache. */
  inputTokens: Count,
  outputTokens: Count,
  cacheReadTokens: Count,
  cacheWriteTokens: Count,
  costUsd: Schema.NullOr(Usd),
  /**
   * Beside `costUsd: null`, what is known all the same: calls that broke off are in the upper bounds with the most that
   * they can have used. `maxUsd` is null when a price is unknown.
   */
  bounds: Schema.optionalKey(Schema.Struct({ minUsd: Usd, maxUsd: Schema.NullOr(Usd), maxTokens: Count }))
})

/** @since 0.1.0 */
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/**
 * Nothing used, nothing spent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const zero: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 0 }

/**
 * What a call used that broke off, so that nobody can say what it was.
 *
 * @category constructors
 * @since 0.1.0
 */
export const atMost = (worst: { readonly costUsd: number | null; readonly tokens: number }): Usage => ({
  ...zero,
  costUsd: null,
  bounds: { minUsd: 0, maxUsd: worst.costUsd, maxTokens: worst.tokens }
})

/**
 * Adds two usages; the sum's cost is unknown as soon as one part's is. `null` stands for "nothing was metered".
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = (left: Usage | null | undefined, right: Usage | null | undefined): Usage | null => {
  if (!left) return right ?? null
  if (!right) return left
  return both(left, right, sum)
}

/**
 * Two accounts of the same usage, of which one can lack what the other has: the larger number of each kind.
 *
 * @category combinators
 * @since 0.1.0
 */
export const larger = (left: Usage | null, right: Usage | null): Usage | null => {
  if (left === null || right === null) return left ?? right
  return both(left, right, Math.max)
}

/** Digits beyond a millionth of a millionth are noise of the floating point, and no money. */
const sum = (left: number, right: number): number => {
  const exact = left + right
  return Number.isInteger(exact) || exact >= 1e3 ? exact : Math.round(exact * 1e12) / 1e12
}

const both = (left: Usage, right: Usage, combine: (left: number, right: number) => number): Usage => {
  const tokens = {
    inputTokens: combine(left.inputTokens, right.inputTokens),
    outputTokens: combine(left.outputTokens, right.outputTokens),
    cacheReadTokens: combine(left.cacheReadTokens, right.cacheReadTokens),
    cacheWriteTokens: combine(left.cacheWriteTokens, right.cacheWriteTokens)
  }
  if (left.costUsd !== null && right.costUsd !== null) {
    return { ...tokens, costUsd: combine(left.costUsd, right.costUsd) }
  }
  const max = [maxUsd(left), maxUsd(right)] as const
  const bounds = {
    minUsd: combine(minUsd(left), minUsd(right)),
    maxUsd: max[0] === null || max[1] === null ? null : combine(max[0], max[1]),
    maxTokens: combine(maxTokens(left), maxTokens(right))
  }
  const tellsMore =
    bounds.minUsd > 0 || bounds.maxUsd !== null || bounds.maxTokens > totalTokens({ ...tokens, costUsd: null })
  return tellsMore ? { ...tokens, costUsd: null, bounds } : { ...tokens, costUsd: null }
}

/**
 * The least that it cost.
 *
 * @category getters
 * @since 0.1.0
 */
export const minUsd = (usage: Usage): number => usage.costUsd ?? usage.bounds?.minUsd ?? 0

/**
 * The most that it can have cost; null when a price is unknown.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxUsd = (usage: Usage): number | null => usage.costUsd ?? usage.bounds?.maxUsd ?? null

/**
 * The most tokens that it can have used.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxTokens = (usage: Usage): number =>
  usage.costUsd === null && usage.bounds !== undefined ? usage.bounds.maxTokens : totalTokens(usage)

/**
 * All tokens of a usage, whatever their kind.
 *
 * @category combinators
 * @since 0.1.0
 */
export const totalTokens = (usage: Usage): number =>
  usage.inputTokens + usage.outputTokens + usage.cacheReadTokens + usage.cacheWriteTokens

/**
 * What is left of a usage when a part of it is taken away; never below zero. Where the part's cost is unknown and it
 * covers all tokens of the whole, it covers the unknown cost as well.
 *
 * @category combinators
 * @since 0.1.0
 */
export const subtract = (whole: Usage, part: Usage): Usage => {
  const tokens = {
    inputTokens: Math.max(0, whole.inputTokens - part.inputTokens),
    outputTokens: Math.max(0, whole.outputTokens - part.outputTokens),
    cacheReadTokens: Math.max(0, whole.cacheReadTokens - part.cacheReadTokens),
    cacheWriteTokens: Math.max(0, whole.cacheWriteTokens - part.cacheWriteTokens)
  }
  return { ...tokens, costUsd: restOfCost(whole, part, totalTokens({ ...tokens, costUsd: 0 })) }
}

const restOfCost = (whole: Usage, part: Usage, tokensLeft: number): number | null => {
  if (whole.costUsd !== null) return Math.max(0, whole.costUsd - (part.costUsd ?? 0))
  if (part.costUsd !== null) return null
  if (tokensLeft === 0) return 0
  return maxUsd(whole) !== null && maxUsd(part) !== null ? Math.max(0, minUsd(whole) - minUsd(part)) : null
}
