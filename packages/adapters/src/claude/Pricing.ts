/**
 * What tokens cost.
 *
 * The list prices are in `prices.json`, with their date and source. They change, so a table of your own can be merged
 * over them. A model that is in no table has no price: its cost is unknown, never zero.
 *
 * @since 0.1.0
 */
import type { Spend } from "@baton/core/Safety"
import type { Usage } from "@baton/core/Usage"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { MessageRequest } from "./MessageRequest.ts"
import listPrices from "./prices.json" with { type: "json" }
import type { Billing, Tokens } from "./Reply.ts"

const Amount = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

const rates = {
  input: Amount,
  output: Amount,
  cacheRead: Amount,
  cacheWrite5m: Amount,
  cacheWrite1h: Amount
}

/**
 * USD for a million tokens of each kind. `above`: other rates for all tokens of a request whose prompt is longer.
 *
 * @category models
 * @since 0.1.0
 */
export const Price = Schema.Struct({
  ...rates,
  above: Schema.optionalKey(Schema.Struct({ promptTokens: Schema.Int, ...rates }))
})

/** @since 0.1.0 */
export interface Price extends Schema.Schema.Type<typeof Price> {}

/**
 * Prices by model id. An id that ends in a date (`claude-haiku-4-5-20251001`) has the price of the one without.
 *
 * @category models
 * @since 0.1.0
 */
export const PriceTable = Schema.Struct({
  /** The day on which the prices were looked up. */
  date: Schema.String,
  source: Schema.String,
  models: Schema.Record(Schema.String, Price)
})

/** @since 0.1.0 */
export interface PriceTable extends Schema.Schema.Type<typeof PriceTable> {}

/** The factor of a request that is part of a batch. */
const batchDiscount = 0.5

/**
 * The prices that apply; the list prices unless another table is provided.
 *
 * @category references
 * @since 0.1.0
 */
export const Prices = Context.Reference<PriceTable>("@baton/adapters/claude/Prices", {
  defaultValue: () => listed
})

/**
 * The list prices.
 *
 * @category configuration
 * @since 0.1.0
 */
export const listed: PriceTable = Schema.decodeUnknownSync(PriceTable)(listPrices)

/**
 * The price of a model; undefined when it is unknown.
 *
 * @category getters
 * @since 0.1.0
 */
export const priceOf = ({ models }: PriceTable, model: string): Price | undefined =>
  Object.hasOwn(models, model) ? models[model] : models[model.replace(/-\d{8}$/, "")]

/**
 * What a request cost in USD; null when the model's price is unknown.
 *
 * @category getters
 * @since 0.1.0
 */
export const costUsd = (table: PriceTable, model: string, tokens: Tokens, billing: Billing): number | null => {
  const price = priceOf(table, model)
  if (price === undefined) return null
  const prompt = tokens.input + tokens.cacheRead + tokens.cacheWrite5m + tokens.cacheWrite1h
  const rate = price.above !== undefined && prompt > price.above.promptTokens ? price.above : price
  const perMillion =
    tokens.input * rate.input +
    tokens.output * rate.output +
    tokens.cacheRead * rate.cacheRead +
    tokens.cacheWrite5m * rate.cacheWrite5m +
    tokens.cacheWrite1h * rate.cacheWrite1h
  return (perMillion / 1e6) * (billing === "batch" ? batchDiscount : 1)
}

/**
 * What a request used, in the terms that the orchestrator keeps.
 *
 * @category getters
 * @since 0.1.0
 */
export const usageOf = (table: PriceTable, model: string, tokens: Tokens, billing: Billing): Usage => ({
  inputTokens: tokens.input,
  outputTokens: tokens.output,
  cacheReadTokens: tokens.cacheRead,
  cacheWriteTokens: tokens.cacheWrite5m + tokens.cacheWrite1h,
  costUsd: costUsd(table, model, tokens, billing)
})

/**
 * The most that a request can cost: its input at the dearest rate that can apply to input, and all of its `max_tokens`.
 *
 * @category getters
 * @since 0.1.0
 */
export const worstCase = (table: PriceTable, request: MessageRequest, inputTokens: number, billing: Billing): Spend => {
  const price = priceOf(table, request.model)
  const tokens = inputTokens + request.max_tokens
  if (price === undefined) return { costUsd: null, tokens, what: request.model }
  const rate = price.above !== undefined && inputTokens > price.above.promptTokens ? price.above : price
  const dearest = Math.max(rate.input, rate.cacheWrite5m, rate.cacheWrite1h)
  const cost =
    ((inputTokens * dearest + request.max_tokens * rate.output) / 1e6) * (billing === "batch" ? batchDiscount : 1)
  return { costUsd: cost, tokens, what: request.model }
}
