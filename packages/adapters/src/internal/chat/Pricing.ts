/**
 * The prices of tokens.
 *
 * The list prices are in `prices.json`, with their date and source. They change, so you can merge your own table over them.
 * The cost of a model that is in no table is unknown, never zero.
 *
 * @since 0.1.0
 */
import type { Spend } from "@baton/core/Safety"
import type * as Usage from "@baton/core/Usage"
import * as Context from "effect/Context"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { MessageRequest } from "./MessageRequest.ts"
import { type FileTokens, tokensOfFiles, withoutFiles } from "./files.ts"
import * as ServerTools from "./serverTools.ts"
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

type Rates = Readonly<Record<keyof typeof rates, number>>

/**
 * USD per million tokens of each kind. `above` has the rates for all tokens of a request with a longer prompt.
 *
 * @category models
 * @since 0.1.0
 */
export const Price = Schema.Struct({
  ...rates,
  /** The shortest prompt that the prompt cache keeps, in tokens. */
  cacheMinimum: Schema.optionalKey(Schema.Int),
  /** The day on which this price was checked, where it is not the day of the table. */
  date: Schema.optionalKey(Schema.String),
  above: Schema.optionalKey(Schema.Struct({ promptTokens: Schema.Int, ...rates }))
})

/** @since 0.1.0 */
export interface Price extends Schema.Schema.Type<typeof Price> {}

/**
 * What the tools that the API runs cost in USD besides their tokens, at every model alike, and without the discount of batches.
 *
 * @category models
 * @since 0.2.0
 */
export const ToolPrices = Schema.Struct({
  /** One web search. */
  webSearch: Amount,
  /** A run of code: the five minutes that the API bills at least. It does not report how long code ran. */
  codeExecution: Amount,
  /** The day on which they were checked. */
  date: Schema.optionalKey(Schema.String)
})

/** @since 0.2.0 */
export interface ToolPrices extends Schema.Schema.Type<typeof ToolPrices> {}

/**
 * Prices by model id. An id that ends in a date (`claude-haiku-4-5-20251001`) has the price of the one without.
 *
 * @category models
 * @since 0.1.0
 */
export const PriceTable = Schema.Struct({
  /** The day on which the prices were checked. */
  date: Schema.String,
  source: Schema.String,
  /** Default: the list prices. */
  tools: Schema.optionalKey(ToolPrices),
  models: Schema.Record(Schema.String, Price)
})

/** @since 0.1.0 */
export interface PriceTable extends Schema.Schema.Type<typeof PriceTable> {}

/**
 * Your own prices: the two that every provider states, and those of the prompt cache where they differ from Claude's rules.
 * By default, a cache read costs as much as input, which no provider exceeds, and a cache write 1.25 times as much for five
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
 * Your own prices by model id. A `PriceTable` is also valid here.
 *
 * @category models
 * @since 0.1.0
 */
export const OwnPrices = Schema.Struct({
  models: Schema.Record(Schema.String, OwnPrice),
  tools: Schema.optionalKey(ToolPrices)
})

/** @since 0.1.0 */
export interface OwnPrices extends Schema.Schema.Type<typeof OwnPrices> {}

/**
 * The factor of a request in a batch.
 *
 * @category configuration
 * @since 0.1.0
 */
export const batchDiscount = 0.5

/**
 * The factor of a request that the API reports to have run in the US.
 *
 * @category configuration
 * @since 0.1.0
 */
export const usInferenceFactor = 1.1

/**
 * The prices that apply: the list prices, unless another table is provided. Clients, executors and verifiers read it when
 * they are built, so provide it to all of them.
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
 * A table in which your own prices replace those of the same models.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (table: PriceTable, { models, tools }: OwnPrices): PriceTable => ({
  ...table,
  ...(tools === undefined ? undefined : { tools }),
  models: {
    ...table.models,
    ...Object.fromEntries(
      Object.entries(models).map(([model, own]) => [
        model,
        {
          ...cacheMinimumOf(priceOf(table, model)),
          cacheRead: own.input,
          cacheWrite5m: own.input * 1.25,
          cacheWrite1h: own.input * 2,
          ...own
        }
      ])
    )
  }
})

const cacheMinimumOf = (price: Price | undefined) =>
  price?.cacheMinimum === undefined ? undefined : { cacheMinimum: price.cacheMinimum }

/**
 * The shortest prompt that the prompt cache keeps for a model, in tokens. Default 1024, which most models meet.
 *
 * @category getters
 * @since 0.1.0
 */
export const cacheMinimum = (table: PriceTable, model: string): number => priceOf(table, model)?.cacheMinimum ?? 1024

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
  /** Where the model ran, as the API reports it. */
  readonly inferenceGeo?: string | null | undefined
  /** Default 0. */
  readonly webSearches?: number | undefined
  /** Whether code ran that is not free. Default 0. */
  readonly codeRuns?: number | undefined
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
  return (
    (perMillion / 1e6) * factorOf(billed.billing) * (billed.inferenceGeo === "us" ? usInferenceFactor : 1) +
    toolsUsd(table, billed)
  )
}

const toolsUsd = (
  { tools = listed.tools }: PriceTable,
  { codeRuns = 0, webSearches = 0 }: Pick<Billed, "codeRuns" | "webSearches">
): number => webSearches * (tools?.webSearch ?? 0) + Math.min(1, codeRuns) * (tools?.codeExecution ?? 0)

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
 * An upper bound of the input tokens of a request, in two parts: the prompt cache and a learned bound only apply to the first.
 *
 * @category models
 * @since 0.1.0
 */
export interface InputBound {
  /** The part that is the same for all tasks: the system prompt, the output schema, and what the API adds. */
  readonly fixed: number
  readonly messages: number
}

/**
 * An upper bound of the input tokens of a request that holds without asking the API: a token is at least one byte of the
 * text. For most texts the bound is three or four times too high. Nothing lower is certain for a text that was not sent
 * before: the tokenizer is not public, and the API's count is an estimate.
 *
 * @category getters
 * @since 0.1.0
 */
export const inputBound = ({
  messages,
  model,
  output_config,
  system,
  thinking,
  tools
}: MessageRequest): InputBound => ({
  // Indented, because the API may show the schema to the model in this form.
  fixed:
    bytesOf(JSON.stringify([system, output_config], null, 2)) +
    (output_config === undefined && thinking === undefined ? addedByApi.plain : addedByApi.instructed) +
    (tools === undefined ? 0 : tools.length * addedByApi.tool),
  messages: bytesOf(messagesText(messages)) + tokensOfFiles(messages, model).most
})

/**
 * The tokens of the images and PDFs in a request: what is expected, and what is reserved for them.
 *
 * @category getters
 * @since 0.2.0
 */
export const fileTokens = ({ messages, model }: MessageRequest): FileTokens => tokensOfFiles(messages, model)

/** The text of messages, without the contents of files. */
export const messagesText = (messages: MessageRequest["messages"]): string => JSON.stringify(messages, withoutFiles, 2)

/** Tokenizers may normalize a text, which makes a few characters longer: a single ligature can become three words. */
export const bytesOf = (text: string): number => {
  const bytes = Buffer.byteLength(text)
  // One byte per character: the text is ASCII, which normalization does not change.
  return bytes === text.length ? bytes : Math.max(bytes, Buffer.byteLength(text.normalize("NFKC")))
}

/** The marks of a turn have fewer tokens than its JSON has bytes. With structured output or thinking, the API adds instructions. */
const addedByApi = { plain: 32, instructed: 1024, tool: 2500 }

/**
 * The most that a request can cost: an upper bound of its input at the most expensive rate that can apply to it, and all of
 * its `max_tokens`. Unless told otherwise, it assumes that the model runs in the US, because a workspace can set that for all
 * its requests.
 *
 * @category getters
 * @since 0.1.0
 */
export const worstCase = (
  table: PriceTable,
  request: MessageRequest,
  billing: Billing,
  bound: InputBound = inputBound(request),
  geo: "us" | "elsewhere" = "us"
): Spend => {
  const price = priceOf(table, request.model)
  const inputTokens = bound.fixed + bound.messages
  const { codeRuns, rereads, searches, tokens: resultTokens } = ServerTools.boundOf(request)
  // The model reads the prompt and earlier results again after each use, from the prompt cache.
  const readAgain = rereads * inputTokens + (resultTokens * Math.max(0, rereads - 1)) / 2
  const toolTokens = resultTokens + readAgain
  const spend = { tokens: inputTokens + toolTokens + request.max_tokens, what: request.model }
  if (price === undefined) return { ...spend, costUsd: null }
  const cost = (rate: Rates, tokens: number) => {
    const rates = dearestInput(rate, request)
    const fixed = Math.min(bound.fixed, tokens)
    const perMillion =
      fixed * rates.fixed +
      (tokens - fixed) * rates.messages +
      request.max_tokens * rate.output +
      resultTokens * rate.cacheWrite5m +
      readAgain * rate.cacheRead
    return (perMillion / 1e6) * factorOf(billing) * (geo === "us" ? usInferenceFactor : 1)
  }
  const { above } = price
  // The request may or may not exceed the threshold.
  const costUsd =
    above === undefined || inputTokens + toolTokens <= above.promptTokens
      ? cost(price, inputTokens)
      : Math.max(cost(price, Math.min(inputTokens, above.promptTokens)), cost(above, inputTokens))
  return { ...spend, costUsd: costUsd + toolsUsd(table, { webSearches: searches, codeRuns }) }
}

/** The highest rates of the two parts. Only the text up to a mark is written to the prompt cache, for as long as it says. */
const dearestInput = (
  rate: Rates,
  { messages, system = [] }: MessageRequest
): Readonly<Record<keyof InputBound, number>> => {
  const inMessages = messages.flatMap(({ content }) =>
    typeof content === "string" ? [] : content.map(writeRate(rate))
  )
  const inSystem = system.map(writeRate(rate))
  const messageRate = Math.max(rate.input, rate.cacheRead, ...inMessages)
  return { fixed: Math.max(messageRate, ...inSystem), messages: messageRate }
}

const writeRate =
  (rate: Rates) =>
  (block: { readonly cache_control?: unknown }): number => {
    const mark = block.cache_control
    if (mark === undefined || mark === null) return 0
    const ttl = Predicate.hasProperty(mark, "ttl") ? mark.ttl : undefined
    return ttl === undefined || ttl === "5m" ? rate.cacheWrite5m : Math.max(rate.cacheWrite5m, rate.cacheWrite1h)
  }
