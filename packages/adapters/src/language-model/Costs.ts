/**
 * What calls of a language model cost. Effect's `LanguageModel` tells how many tokens a call used, and neither their
 * price nor how many it may use at most.
 *
 * @since 0.1.0
 */
import type { Usage } from "@baton/core/Usage"

/**
 * What is needed to keep to a budget.
 *
 * @category models
 * @since 0.1.0
 */
export interface Costs {
  /**
   * USD for what a call used; null when it is unknown. Without it all costs are unknown, and a budget in USD refuses the
   * first call.
   */
  readonly price?: ((tokens: Omit<Usage, "costUsd">) => number | null) | undefined
  /**
   * The most that the model may write in one call: what a budget sets aside for it. Give the limit that the provider is
   * configured with. Default 8192.
   */
  readonly maxOutputTokens?: number | undefined
}

/**
 * A price from USD for a million tokens of each kind. A kind that is left out has the price of input.
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
