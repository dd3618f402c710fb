/**
 * The cost of calls to a language model. Effect's `LanguageModel` reports how many tokens a call used, but not their price or
 * the most that a call may use.
 *
 * @since 0.1.0
 */
import type { Usage } from "@baton/core/Usage"

/**
 * What a budget needs to know about a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Costs {
  /**
   * The cost in USD of what a call used; null when it is unknown. Without this function all costs are unknown, and a budget in
   * USD refuses the first call.
   */
  readonly price?: ((tokens: Omit<Usage, "costUsd">) => number | null) | undefined
  /**
   * The most tokens that the model may write in one call, which a budget reserves. Use the limit in the provider's
   * configuration. Default 8192.
   */
  readonly maxOutputTokens?: number | undefined
}

/**
 * A price function from USD per million tokens of each kind. The default of the optional kinds is the price of input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const perMillion =
  (rates: {
    readonly input: number
    readonly output: number
    readonly cacheRead?: number | undefined
    readonly cacheWrite?: number | undefined
  }): NonNullable<Costs["price"]> =>
  ({ cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens }) =>
    (inputTokens * rates.input +
      outputTokens * rates.output +
      cacheReadTokens * (rates.cacheRead ?? rates.input) +
      cacheWriteTokens * (rates.cacheWrite ?? rates.input)) /
    1e6
