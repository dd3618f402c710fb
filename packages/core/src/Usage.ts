/**
 * What an attempt used: tokens by kind, and money when the price is known.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Tokens by kind and cost in USD. `costUsd: null` means that something was used whose price is unknown; it is never
 * shown or counted as zero.
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
  costUsd: Schema.NullOr(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
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
 * Adds two usages; the sum's cost is unknown as soon as one part's is. `null` stands for "nothing was metered".
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = (left: Usage | null | undefined, right: Usage | null | undefined): Usage | null => {
  if (!left) return right ?? null
  if (!right) return left
  return {
    inputTokens: left.inputTokens + right.inputTokens,
    outputTokens: left.outputTokens + right.outputTokens,
    cacheReadTokens: left.cacheReadTokens + right.cacheReadTokens,
    cacheWriteTokens: left.cacheWriteTokens + right.cacheWriteTokens,
    costUsd: left.costUsd === null || right.costUsd === null ? null : left.costUsd + right.costUsd
  }
}

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
  return { ...tokens, costUsd: restOfCost(whole.costUsd, part.costUsd, totalTokens({ ...tokens, costUsd: 0 })) }
}

const restOfCost = (whole: number | null, part: number | null, tokensLeft: number): number | null => {
  if (whole !== null) return Math.max(0, whole - (part ?? 0))
  return part === null && tokensLeft === 0 ? 0 : null
}
