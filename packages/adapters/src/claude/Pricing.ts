/**
 * What tokens cost.
 *
 * The list prices are in `prices.json`, with their date and source. They change, so a table of your own can be merged
 * over them. A model that is in no table has no price: its cost is unknown, never zero.
 *
 * @since 0.1.0
 */
import type { Spend } from "@baton/core/Safety"
import type * as Usage from "@baton/core/Usage"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { MessageRequest } from "./MessageRequest.ts"
import listPrices from "./prices.json" with { type: "json" }
import type { Billing } from "./Reply.ts"

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

/**
 * Prices of your own: the two that every provider names, and those of the prompt cache where they differ from Claude's
 * rules. Left out, reading costs as much as input (which nobody exceeds), and keeping costs 1.25 times as much for five
 * minutes and twice as much for an hour.
 *
 * @category models
 * @since 0.1.0
 */
export const OwnPrice = Schema.Struct({
  input: Amount,
  output: Amount,
  cacheRead: Schema.optionalKey(Amount),
  cacheWrite5m: Schema.optionalKey(Amount),
  cacheWrite1h: Schema.optionalKey(Amount),
  above: Price.fields.above
})

/** @since 0.1.0 */
export interface OwnPrice extends Schema.Schema.Type<typeof OwnPrice> {}

/**
 * Prices of your own by model id. A whole `PriceTable` is one as well.
 *
 * @category models
 * @since 0.1.0
 */
export const OwnPrices = Schema.Struct({ models: Schema.Record(Schema.String, OwnPrice) })

/** @since 0.1.0 */
export interface OwnPrices extends Schema.Schema.Type<typeof OwnPrices> {}

/**
 * The factor of a request that is part of a batch.
 *
 * @category configuration
 * @since 0.1.0
 */
export const batchDiscount = 0.5

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
 * A table with prices of your own laid over it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (table: PriceTable, { models }: OwnPrices): PriceTable => ({
  ...table,
  models: {
    ...table.models,
    ...Object.fromEntries(
      Object.entries(models).map(([model, own]) => [
        model,
        { cacheRead: own.input, cacheWrite5m: own.input * 1.25, cacheWrite1h: own.input * 2, ...own }
      ])
    )
  }
})

/**
 * The price of a model; undefined when it is unknown.
 *
 * @category getters
 * @since 0.1.0
 */
export const priceOf = ({ models }: PriceTable, model: string): Price | undefined =>
  own(models, model) ?? own(models, model.replace(/-\d{8}$/, ""))

const own = (models: PriceTable["models"], id: string) => (Object.hasOwn(models, id) ? models[id] : undefined)

/**
 * What a request used, by the kinds of tokens that have their own price.
 *
 * @category models
 * @since 0.1.0
 */
export interface Billed extends Omit<Usage.Usage, "bounds" | "costUsd"> {
  readonly billing: Billing
  /** The part of `cacheWriteTokens` that the prompt cache keeps for an hour, and not for five minutes. Default 0. */
  readonly cacheWrite1hTokens?: number | undefined
}

/**
 * The cost of a request in USD; null when the model's price is unknown. A request that used nothing cost nothing.
 *
 * @category getters
 * @since 0.1.0
 */
export const costUsd = (table: PriceTable, model: string, billed: Billed): number | null => {
  const { cacheReadTokens, cacheWrite1hTokens = 0, cacheWriteTokens, inputTokens, outputTokens } = billed
  const prompt = inputTokens + cacheReadTokens + cacheWriteTokens
  if (prompt + outputTokens === 0) return 0
  const price = priceOf(table, model)
  if (price === undefined) return null
  const rate = price.above !== undefined && prompt > price.above.promptTokens ? price.above : price
  const perMillion =
    inputTokens * rate.input +
    outputTokens * rate.output +
    cacheReadTokens * rate.cacheRead +
    (cacheWriteTokens - cacheWrite1hTokens) * rate.cacheWrite5m +
    cacheWrite1hTokens * rate.cacheWrite1h
  return (perMillion / 1e6) * factorOf(billed.billing)
}

const factorOf = (billing: Billing): number => (billing === "batch" ? batchDiscount : 1)

/**
 * What a request used, with its cost.
 *
 * @category getters
 * @since 0.1.0
 */
export const usageOf = (table: PriceTable, model: string, billed: Billed): Usage.Usage => ({
  inputTokens: billed.inputTokens,
  outputTokens: billed.outputTokens,
  cacheReadTokens: billed.cacheReadTokens,
  cacheWriteTokens: billed.cacheWriteTokens,
  costUsd: costUsd(table, model, billed)
})

/**
 * More tokens than the input of a request can have. A token stands for at least one byte of the text as the tokenizer
 * sees it, so the bytes are a bound that holds without asking; for most texts it is three or four times too much.
 * Counting them at the API would not do: what that answers is an estimate itself.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxInputTokens = ({ messages, output_config, system }: MessageRequest): number =>
  // Indented, as the API may show the schema to the model so.
  bytesOf(JSON.stringify({ messages, system })) +
  (output_config?.format === undefined ? 0 : bytesOf(JSON.stringify(output_config.format, null, 2))) +
  unseen

/** Normalizing, which tokenizers may do, makes a few characters longer: a single ligature can become three words. */
const bytesOf = (text: string): number => {
  const bytes = Buffer.byteLength(text)
  // A byte for each character: nothing but ASCII, which is normal as it is.
  return bytes === text.length ? bytes : Math.max(bytes, Buffer.byteLength(text.normalize("NFKC")))
}

/** What the API adds: the marks between turns, and instructions for structured output. */
const unseen = 1024

/**
 * The most that a request can cost: an upper bound of its input at the dearest rate that can apply to it, and all of its
 * `max_tokens`.
 *
 * @category getters
 * @since 0.1.0
 */
export const worstCase = (
  table: PriceTable,
  request: MessageRequest,
  billing: Billing,
  inputTokens = maxInputTokens(request)
): Spend => {
  const price = priceOf(table, request.model)
  const spend = { tokens: inputTokens + request.max_tokens, what: request.model }
  if (price === undefined) return { ...spend, costUsd: null }
  const cost = (rate: Omit<Price, "above">, tokens: number) =>
    ((tokens * dearestInput(rate, request) + request.max_tokens * rate.output) / 1e6) * factorOf(billing)
  const { above } = price
  // Whether the request itself is over the threshold is not known, only that it can be.
  const costUsd =
    above === undefined || inputTokens <= above.promptTokens
      ? cost(price, inputTokens)
      : Math.max(cost(price, above.promptTokens), cost(above, inputTokens))
  return { ...spend, costUsd }
}

/** Only what is marked for it is written to the prompt cache. */
const dearestInput = (rate: Omit<Price, "above">, { messages, system = [] }: MessageRequest): number => {
  const isMarked =
    system.some(({ cache_control }) => cache_control !== undefined) ||
    messages.some(({ content }) => typeof content !== "string" && content.some((block) => "cache_control" in block))
  const always = Math.max(rate.input, rate.cacheRead)
  return isMarked ? Math.max(always, rate.cacheWrite5m, rate.cacheWrite1h) : always
}
