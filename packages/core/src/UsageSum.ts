/**
 * The usage of many tasks, as stores add it up for each queue.
 *
 * It has whole numbers only, money in nano-dollars, so that tasks can be added and taken away in any order without a rounding
 * error. A `Usage` cannot: a known cost cannot be recovered from a sum with an unknown one.
 *
 * @since 0.2.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Usage } from "./Usage.ts"

/**
 * The columns of a sum, in the order in which stores keep them.
 *
 * @category models
 * @since 0.2.0
 */
export const columns = [
  /** The number of usages that were added. */
  "usages",
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  /** The upper bounds of the number of tokens. */
  "maxTokens",
  /** The known costs, and the lower bounds of the others. */
  "minNanoUsd",
  /** The known costs, and the upper bounds of the others where there are some. */
  "maxNanoUsd",
  /** The number of usages whose cost is not known. */
  "unknownCosts",
  /** The number of usages whose cost has no upper bound. */
  "unboundedCosts"
] as const

/**
 * The usage of a number of tasks.
 *
 * @category models
 * @since 0.2.0
 */
export interface UsageSum extends Readonly<Record<(typeof columns)[number], number>> {}

/**
 * The sum of no usage.
 *
 * @category constructors
 * @since 0.2.0
 */
export const zero: UsageSum = {
  usages: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  maxTokens: 0,
  minNanoUsd: 0,
  maxNanoUsd: 0,
  unknownCosts: 0,
  unboundedCosts: 0
}

/**
 * A cost in whole nano-dollars. Written so that every database computes the same number from the same cost.
 *
 * @category constructors
 * @since 0.2.0
 */
export const nanoUsd = (usd: number): number => Math.floor(usd * 1e9 + 0.5)

/**
 * The sum of one usage. Undefined means that nothing was metered.
 *
 * @category constructors
 * @since 0.2.0
 */
export const of = (usage: Usage | undefined): UsageSum => {
  if (usage === undefined) return zero
  const { bounds, cacheReadTokens, cacheWriteTokens, costUsd, inputTokens, outputTokens } = usage
  const isKnown = costUsd !== null
  const max = isKnown ? costUsd : (bounds?.maxUsd ?? null)
  const tokens = inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens
  return {
    usages: 1,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    maxTokens: isKnown ? tokens : (bounds?.maxTokens ?? tokens),
    minNanoUsd: nanoUsd(isKnown ? costUsd : (bounds?.minUsd ?? 0)),
    maxNanoUsd: nanoUsd(max ?? 0),
    unknownCosts: isKnown ? 0 : 1,
    unboundedCosts: max === null ? 1 : 0
  }
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Usage))

/** The text of a usage with a known cost, as Baton writes it. */
const knownText =
  /^\{"inputTokens":(\d+),"outputTokens":(\d+),"cacheReadTokens":(\d+),"cacheWriteTokens":(\d+),"costUsd":(\d[\d.e-]*)\}$/

/** Reads most usages in a tenth of the time that the schema takes. */
const ofKnownText = (usage: string): UsageSum | undefined => {
  const found = knownText.exec(usage)
  if (found === null) return undefined
  const [inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, costUsd = 0] = found
    .slice(1)
    .map(Number)
  return of({ inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costUsd })
}

/**
 * The sum of a usage as a driver keeps it: a JSON text or null. A damaged text counts as nothing.
 *
 * @category constructors
 * @since 0.2.0
 */
export const ofJson = (usage: string | null): UsageSum =>
  usage === null ? zero : (ofKnownText(usage) ?? of(Option.getOrUndefined(decode(usage))))

/**
 * A sum from the numbers of its columns, in their order. Missing ones are zero.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromColumns = (numbers: ReadonlyArray<number>): UsageSum => {
  const [usages = 0, inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, ...others] = numbers
  const [maxTokens = 0, minNanoUsd = 0, maxNanoUsd = 0, unknownCosts = 0, unboundedCosts = 0] = others
  return {
    usages,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    maxTokens,
    minNanoUsd,
    maxNanoUsd,
    unknownCosts,
    unboundedCosts
  }
}

const combine = (left: UsageSum, right: UsageSum, sign: 1 | -1): UsageSum => ({
  usages: left.usages + sign * right.usages,
  inputTokens: left.inputTokens + sign * right.inputTokens,
  outputTokens: left.outputTokens + sign * right.outputTokens,
  cacheReadTokens: left.cacheReadTokens + sign * right.cacheReadTokens,
  cacheWriteTokens: left.cacheWriteTokens + sign * right.cacheWriteTokens,
  maxTokens: left.maxTokens + sign * right.maxTokens,
  minNanoUsd: left.minNanoUsd + sign * right.minNanoUsd,
  maxNanoUsd: left.maxNanoUsd + sign * right.maxNanoUsd,
  unknownCosts: left.unknownCosts + sign * right.unknownCosts,
  unboundedCosts: left.unboundedCosts + sign * right.unboundedCosts
})

/**
 * Adds two sums.
 *
 * @category combinators
 * @since 0.2.0
 */
export const add = (left: UsageSum, right: UsageSum): UsageSum => combine(left, right, 1)

/**
 * By how much a sum changes when the usage of a task, as a driver keeps it, is replaced by another.
 *
 * @category combinators
 * @since 0.2.0
 */
export const change = (before: string | null, after: string | null): UsageSum =>
  before === after ? zero : before === null ? ofJson(after) : combine(ofJson(after), ofJson(before), -1)

/**
 * The sum as one usage; undefined if nothing was metered. Its cost is known if all costs are.
 *
 * @category converting
 * @since 0.2.0
 */
export const toUsage = (sum: UsageSum): Usage | undefined => {
  if (sum.usages === 0) return undefined
  const { cacheReadTokens, cacheWriteTokens, inputTokens, maxTokens, outputTokens } = sum
  const tokens = { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens }
  if (sum.unknownCosts === 0) return { ...tokens, costUsd: sum.minNanoUsd / 1e9 }
  const maxUsd = sum.unboundedCosts === 0 ? sum.maxNanoUsd / 1e9 : null
  const isInformative =
    sum.minNanoUsd > 0 || maxUsd !== null || maxTokens > inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens
  return isInformative
    ? { ...tokens, costUsd: null, bounds: { minUsd: sum.minNanoUsd / 1e9, maxUsd, maxTokens } }
    : { ...tokens, costUsd: null }
}
