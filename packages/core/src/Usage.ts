/**
 * The tokens that an attempt used, and their cost.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Usd = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Tokens by kind, and their cost in USD. `costUsd: null` means that the price or the amount of a part is unknown; it is never
 * shown or counted as zero.
 *
 * @category models
 * @since 0.1.0
 */
export const Usage = Schema.Struct({
  /** Input tokens without those that were read from or written to a prompt cache. */
  inputTokens: Count,
  outputTokens: Count,
  cacheReadTokens: Count,
  cacheWriteTokens: Count,
  costUsd: Schema.NullOr(Usd),
  /**
   * The known bounds of an unknown cost. The upper bounds contain the worst case of each call that was cut off. `maxUsd` is
   * null when a price is unknown.
   */
  bounds: Schema.optionalKey(Schema.Struct({ minUsd: Usd, maxUsd: Schema.NullOr(Usd), maxTokens: Count }))
})

/** @since 0.1.0 */
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/**
 * No tokens and no cost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const zero: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 0 }

/**
 * The usage of a call that was cut off: unknown, and at most its worst case.
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
 * Adds two usages. The cost of the sum is unknown if that of a part is. Undefined means that nothing was metered.
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = (left: Usage | undefined, right: Usage | undefined): Usage | undefined => {
  if (left === undefined) return right
  if (right === undefined) return left
  return both(left, right, sum)
}

/**
 * Merges two reports of the same usage, each of which can be incomplete: the larger number of each kind.
 *
 * @category combinators
 * @since 0.1.0
 */
export const larger = (left: Usage | undefined, right: Usage | undefined): Usage | undefined => {
  if (left === undefined || right === undefined) return left ?? right
  return both(left, right, Math.max)
}

/** Digits beyond a millionth of a millionth are floating-point noise. */
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
  const isInformative =
    bounds.minUsd > 0 || bounds.maxUsd !== null || bounds.maxTokens > totalTokens({ ...tokens, costUsd: null })
  return isInformative ? { ...tokens, costUsd: null, bounds } : { ...tokens, costUsd: null }
}

/**
 * The lower bound of the cost.
 *
 * @category getters
 * @since 0.1.0
 */
export const minUsd = (usage: Usage): number => usage.costUsd ?? usage.bounds?.minUsd ?? 0

/**
 * The upper bound of the cost; null when a price is unknown.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxUsd = (usage: Usage): number | null => usage.costUsd ?? usage.bounds?.maxUsd ?? null

/**
 * The upper bound of the number of tokens.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxTokens = (usage: Usage): number =>
  usage.costUsd === null && usage.bounds !== undefined ? usage.bounds.maxTokens : totalTokens(usage)

/**
 * The number of tokens of all kinds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const totalTokens = (usage: Usage): number =>
  usage.inputTokens + usage.outputTokens + usage.cacheReadTokens + usage.cacheWriteTokens

/**
 * Subtracts a part from a usage, down to zero. A part of unknown cost that has all tokens of the whole has its cost as well.
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
