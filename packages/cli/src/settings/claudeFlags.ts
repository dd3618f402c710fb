/**
 * What is to be said to Claude, and what it costs: the flags of `--executor claude` and `--verifier claude`.
 *
 * @since 0.1.0
 */
import type * as Command from "effect/cli/Command"
import { given, toggle } from "./envFlag.ts"
import * as Kind from "./Kind.ts"
import * as ownFlag from "./ownFlag.ts"

const model = Kind.text("MODEL", "the name of a model")
const file = Kind.text("FILE", "the path of a file")

/**
 * A model's price, as `--price` takes it: `claude-x=2,10` or, with the prompt cache's prices, `claude-x=2,10,0.2,2.5,4`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelPrice {
  readonly model: string
  readonly input: number
  readonly output: number
  readonly cacheRead?: number
  readonly cacheWrite5m?: number
  readonly cacheWrite1h?: number
}

const price: Kind.Kind<ModelPrice> = {
  metavar: "MODEL=IN,OUT",
  expected:
    "a model and its prices in USD for a million tokens, such as claude-x=2,10 (input, output), " +
    "or with those of the prompt cache claude-x=2,10,0.2,2.5,4 (read, write for 5 minutes, write for an hour)",
  read: (text) => {
    const [, model, list] = /^([^=\s]+)=([\d.,]+)$/.exec(text) ?? []
    if (model === undefined || list === undefined) return undefined
    const prices = list.split(",").map((part) => (/^(?:\d+\.?\d*|\.\d+)$/.test(part) ? Number(part) : NaN))
    const [input, output, cacheRead, cacheWrite5m, cacheWrite1h] = prices
    if (input === undefined || output === undefined || prices.some(Number.isNaN)) return undefined
    if (prices.length === 2) return { model, input, output }
    if (cacheRead === undefined || cacheWrite5m === undefined || cacheWrite1h === undefined) return undefined
    return prices.length === 5 ? { model, input, output, cacheRead, cacheWrite5m, cacheWrite1h } : undefined
  }
}

/**
 * The flags.
 *
 * @category flags
 * @since 0.1.0
 */
export const claudeFlags = {
  batch: toggle("batch", {
    description:
      "Send what is asked in batches, at half the price: answers within a day. -j is how many tasks wait at once, by default 10000"
  }),
  model: given("model", model, { description: "The model that does the work", default: "claude-sonnet-5-5" }),
  judgeModel: given("judge-model", model, { description: "The model that checks it", default: "claude-haiku-5-5" }),
  system: given("system", Kind.text("TEXT", "instructions"), { description: "Instructions for every task" }),
  systemFile: given("system-file", file, { description: "The same, from a file" }),
  criteria: given("criteria", Kind.text("TEXT", "what an output has to meet"), {
    description: "What the judge is to look for besides what the task says"
  }),
  confirm: given("confirm", Kind.count(0), {
    description: "Ask the judge so often again before an output is rejected; the majority counts",
    default: "0"
  }),
  minConfidence: given("min-confidence", Kind.share, {
    description: "Reject what the judge passes with less confidence"
  }),
  maxOutputTokens: given("max-output-tokens", Kind.count(1), {
    description: "The longest answer; keep it near what you expect, as budgets and rate limits count on all of it",
    default: "8192"
  }),
  effort: given("effort", Kind.oneOf("low", "medium", "high", "xhigh", "max"), {
    description: "How hard the model thinks",
    default: "the model's own"
  }),
  outputSchema: given("output-schema", file, {
    description: "Ask for JSON of this JSON Schema, and check the answer against it"
  }),
  price: ownFlag.values(
    "price",
    price,
    "USD for a million tokens of a model, where the price list is wrong or lacks it"
  ),
  prices: given("prices", file, { description: "The same for many models, from a JSON file" }),
  noCache: toggle("no-cache", {
    description: "Ask again what was answered before; answers are otherwise kept beside the store, and cost once"
  }),
  rpm: given("rpm", Kind.count(1), {
    description: "Send at most so many requests a minute to each model",
    default: "what the server allows"
  }),
  inputTpm: given("input-tpm", Kind.count(1), { description: "The same for input tokens a minute" }),
  outputTpm: given("output-tpm", Kind.count(1), { description: "The same for output tokens a minute" })
}

/** @since 0.1.0 */
export type ClaudeFlags = Command.Command.Config.Infer<typeof claudeFlags>
