/** Estimates the lowest, the expected and the highest cost of a run. */
import { type MessageRequest, Pricing } from "@baton/adapters/claude"
import type { Attempt } from "@baton/core/Attempt"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { pages } from "@baton/core/TaskPages"
import type { PartEstimate, Range } from "../../view/plan.ts"
import type { Rate } from "./requests.ts"

/** The requests of a part of a run. */
export interface RequestShape {
  /** A request for an almost empty description, which contains the text that all requests share. */
  readonly empty: MessageRequest.MessageRequest
  /** The models that are asked after the one of the request; at worst, each of them is. */
  readonly fallbackModels: ReadonlyArray<string>
  readonly rate: Rate
  /** The tokens of images and PDFs for each task. */
  readonly files: { readonly expected: number; readonly most: number }
}

/** The input of an estimate. */
export interface Options {
  readonly executor: RequestShape
  /** Null without a judge. */
  readonly judge: RequestShape | null
  readonly prices: Pricing.PriceTable
  /** The lengths of the descriptions in bytes, by the model that executes the tasks. */
  readonly lengths: ReadonlyMap<string, ReadonlyArray<number>>
  readonly maxAttempts: number
  /** The number of times that a rejection is checked again. */
  readonly confirm: number
  readonly history: History
}

/** The lower bound as a share of the tokens. Counted tokens are an estimate too, and a guess depends on the language. */
const least = { counted: 0.9, guessed: 0.5 }

/** The tokens around the previous output and the feedback in the prompt of a retry. */
const feedbackOverhead = 300

/** Estimates the parts that use a model. */
export const make = (options: Options): ReadonlyArray<PartEstimate> => {
  const { confirm, executor, history, judge, maxAttempts } = options
  const answer = { low: 1, expected: history.answerTokens, worst: executor.empty.max_tokens }
  const verdict = { low: 1, expected: history.verdictTokens, worst: judge?.empty.max_tokens ?? 1000 }
  const feedback = answer.worst + verdict.worst + feedbackOverhead
  const work = Array.from(options.lengths, ([model, lengths]) =>
    partOf("work", { ...executor, empty: { ...executor.empty, model } }, answer, options, {
      lengths,
      // All attempts except the first have feedback in their prompt.
      worst: (input) => [
        [1, input],
        [maxAttempts - 1, input + feedback]
      ]
    })
  )
  if (judge === null) return work
  const judging = partOf("judging", judge, verdict, options, {
    lengths: Array.from(options.lengths.values()).flat(),
    additional: answer,
    worst: (input) => [[maxAttempts * (1 + confirm), input + answer.worst]]
  })
  return [...work, judging]
}

const partOf = (
  part: PartEstimate["part"],
  { empty, fallbackModels, files, rate }: RequestShape,
  output: Range,
  { history, prices }: Options,
  shape: {
    readonly lengths: ReadonlyArray<number>
    /** Tokens of a prompt in addition to the description. */
    readonly additional?: Range
    /** The highest number of requests, and the input tokens of each. */
    readonly worst: (input: number) => ReadonlyArray<readonly [requests: number, input: number]>
  }
): PartEstimate => {
  const { model } = empty
  const { fixed, messages } = Pricing.inputBound(empty)
  const share = least[rate.basis]
  const sums = {
    requests: { low: 0, expected: 0, worst: 0 },
    input: { low: 0, expected: 0, worst: 0 },
    output: { low: 0, expected: 0, worst: 0 },
    cost: { low: 0, expected: 0, worst: 0 },
    batchCost: { low: 0, expected: 0, worst: 0 }
  }
  const add = (
    which: keyof Range,
    requests: number,
    tokens: Pricing.Billed,
    costOf: (billing: Pricing.Billed["billing"]) => number | null
  ) => {
    sums.requests[which] += requests
    sums.input[which] += requests * (tokens.inputTokens + tokens.cacheReadTokens + tokens.cacheWriteTokens)
    sums.output[which] += requests * tokens.outputTokens
    sums.cost[which] += requests * (costOf("standard") ?? NaN)
    sums.batchCost[which] += requests * (costOf("batch") ?? NaN)
  }
  const priced = (which: "low" | "expected", requests: number, tokens: Pricing.Billed) =>
    add(which, requests, tokens, (billing) => Pricing.costUsd(prices, model, { ...tokens, billing }))

  const cached = cachedTokens(empty, rate, prices)
  const uses = expectedUses(empty, history)

  for (const [index, length] of shape.lengths.entries()) {
    const own = length * rate.perByte + files.expected
    priced("low", 1, {
      ...noTokens,
      inputTokens: Math.floor(own * share) + (shape.additional?.low ?? 0),
      cacheReadTokens: Math.floor(rate.fixed * share),
      outputTokens: output.low
    })
    priced("expected", history.attempts, {
      ...noTokens,
      inputTokens: Math.round(own + rate.fixed - cached + (shape.additional?.expected ?? 0)),
      // The first request writes the common part to the prompt cache, and the others read it. The API writes the results of
      // tools to it too, and reads all before them again.
      cacheWriteTokens: (index === 0 ? cached : 0) + uses.results,
      cacheReadTokens:
        (index === 0 ? 0 : cached) + uses.all * (own + rate.fixed) + (uses.results * Math.max(0, uses.all - 1)) / 2,
      webSearches: uses.searches,
      outputTokens: output.expected
    })
    for (const [requests, input] of shape.worst(fixed + messages + length + files.most)) {
      for (const asked of [empty, ...fallbackModels.map((model) => ({ ...empty, model }))]) {
        const worst = (billing: Pricing.Billed["billing"]) =>
          Pricing.worstCase(prices, asked, billing, { fixed, messages: input - fixed })
        const inputTokens = worst("standard").tokens - asked.max_tokens
        const tokens = { ...noTokens, inputTokens, outputTokens: output.worst }
        add("worst", requests, tokens, (billing) => worst(billing).costUsd)
      }
    }
  }
  const isUnknown = shape.lengths.length > 0 && Number.isNaN(sums.cost.worst)
  return {
    part,
    model,
    requests: whole(sums.requests),
    inputTokens: whole(sums.input),
    outputTokens: whole(sums.output),
    costUsd: isUnknown ? null : sums.cost,
    batchCostUsd: isUnknown ? null : sums.batchCost
  }
}

/** The tokens that a use of a tool of the API adds: ten results of a search, or a page. */
const tokensOfUse = 7000

/** How often a request is expected to use the tools that the API runs. */
export const expectedUses = (
  { tools = [] }: MessageRequest.MessageRequest,
  { toolUses }: Pick<History, "toolUses">
): { readonly searches: number; readonly all: number; readonly results: number } => {
  const usesOf = (name: string) => {
    const tool = tools.find((tool) => tool["name"] === name)
    if (tool === undefined) return 0
    return Math.ceil((typeof tool["max_uses"] === "number" ? tool["max_uses"] : 2) / 2)
  }
  const searches = toolUses?.searches ?? usesOf("web_search")
  const all = toolUses?.all ?? searches + usesOf("web_fetch") + usesOf("code_execution")
  return { searches, all, results: all * tokensOfUse }
}

/** The part of each prompt that the requests of a run share in the prompt cache. */
const cachedTokens = (empty: MessageRequest.MessageRequest, rate: Rate, prices: Pricing.PriceTable): number => {
  const { messages, model, output_config, system = [] } = empty
  if (!system.some(({ cache_control }) => cache_control !== undefined)) return 0
  const share = bytes([system]) / bytes([messages, output_config?.format, system])
  const tokens = Math.round(rate.fixed * share)
  return tokens < Pricing.cacheMinimum(prices, model) ? 0 : tokens
}

const encoder = new TextEncoder()

const bytes = (value: unknown): number => encoder.encode(JSON.stringify(value)).length

const noTokens: Pricing.Billed = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  billing: "standard"
}

const map = ({ expected, low, worst }: Range, f: (value: number) => number): Range => ({
  low: f(low),
  expected: f(expected),
  worst: f(worst)
})

const whole = (range: Range): Range => map(range, Math.round)

/** The sum of costs; null if one of them is unknown. */
export const sum = (costs: ReadonlyArray<Range | null>): Range | null =>
  costs.reduce<Range | null>(
    (total, cost) =>
      total === null || cost === null
        ? null
        : {
            low: total.low + cost.low,
            expected: total.expected + cost.expected,
            worst: total.worst + cost.worst
          },
    { low: 0, expected: 0, worst: 0 }
  )

/** The expected values for a task. */
export interface History {
  /** The number of completed tasks that the values are taken from; 0 for assumed values. */
  readonly tasks: number
  /** Attempts per task. */
  readonly attempts: number
  /** Tokens of an output. */
  readonly answerTokens: number
  /** Tokens of a verdict, including its reasoning. */
  readonly verdictTokens: number
  /** Uses of tools of the API per attempt; undefined for assumed values. */
  readonly toolUses: { readonly searches: number; readonly all: number } | undefined
}

const maxExamined = 200

/** A few paragraphs, or less if the limit is lower. */
const assumedAnswer = (maxTokens: number): number => Math.min(500, Math.ceil(maxTokens / 2))

const assumedVerdict = 200

/** Reads the attempts of completed tasks that this model executed. */
export const readHistory = Effect.fnUntraced(function* (options: {
  readonly model: string
  /** The maximum length of an output. */
  readonly maxTokens: number
}): Effect.fn.Return<History, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const done = yield* Stream.runCollect(pages({ status: "completed", limit: maxExamined }))
  const ledgers = yield* Effect.forEach(
    done.filter(({ usage }) => usage !== undefined),
    ({ id }) => store.attempts(id),
    { concurrency: 16 }
  )
  const attempts = ledgers.flat().filter(({ execution }) => {
    const { cached, model } = execution?.metadata ?? {}
    // Cached responses used no tokens, but new responses will.
    return cached !== true && typeof model === "string" && undated(model) === undated(options.model)
  })
  const answers = attempts.flatMap(({ execution }) => execution?.usage?.outputTokens ?? [])
  const verdicts = attempts.flatMap(({ verification }) => verification?.usage?.outputTokens ?? [])
  const tasks = new Set(attempts.map(({ taskId }) => taskId)).size
  return {
    tasks,
    attempts: tasks === 0 ? 1 : attempts.length / tasks,
    answerTokens: average(answers) ?? assumedAnswer(options.maxTokens),
    verdictTokens: average(verdicts) ?? assumedVerdict,
    toolUses:
      attempts.length === 0
        ? undefined
        : {
            searches: usesIn(attempts, ["webSearches"]),
            all: usesIn(attempts, ["webSearches", "webFetches", "codeRuns"])
          }
  }
})

const usesIn = (attempts: ReadonlyArray<Attempt>, names: ReadonlyArray<string>): number =>
  attempts.reduce(
    (sum, { execution }) =>
      names.reduce((sum, name) => {
        const uses = execution?.metadata[name]
        return typeof uses === "number" ? sum + uses : sum
      }, sum),
    0
  ) / attempts.length

const undated = (model: string): string => model.replace(/-\d{8}$/, "")

const average = (numbers: ReadonlyArray<number>): number | undefined =>
  numbers.length === 0 ? undefined : Math.round(numbers.reduce((sum, number) => sum + number, 0) / numbers.length)
