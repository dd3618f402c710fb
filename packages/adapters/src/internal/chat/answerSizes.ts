import * as Usage from "@baton/core/Usage"

/** What the answers of similar requests have used: those to one model for one queue and purpose. */
export interface AnswerSizes {
  /** The number of answers seen. */
  readonly count: () => number
  readonly add: (usage: Usage.Usage) => void
  /** An answer was cut off after this many tokens. */
  readonly addCutOff: (tokens: number) => void
  /** The maximum that an answer needs, from those seen: the largest and a margin. Undefined while too few are known. */
  readonly usual: () => number | undefined
  /** A maximum to try while too few are known: several times the largest. Undefined before the first answer. */
  readonly trial: () => number | undefined
  /** The largest answer seen, in tokens. */
  readonly largest: () => number
  /** The expected mean usage of a number of requests, with a margin. Undefined while too few are known. */
  readonly expected: (requests: number) => { readonly costUsd: number | null; readonly tokens: number } | undefined
}

/** The latest answers count. */
const most = 500

/** The number of answers from which the sum of the next ones is estimated. */
const enough = 8

/** The number of answers from which the maximum of the next one is estimated, with a large margin at first. */
export const few = 3

/** An answer that is longer than this many times the largest of one or two is paid for twice, which costs little more than those. */
const trialFactor = 4

/** How many standard errors the margin of an expected sum is: of the mean of the sample, and of the mean of the requests. */
const standardErrors = 5

export const make = (): AnswerSizes => {
  const answers: Array<{ readonly output: number; readonly tokens: number; readonly costUsd: number | null }> = []
  let cutOffAt = 0
  let usual: number | undefined

  const largest = () => answers.reduce((largest, { output }) => Math.max(largest, output), cutOffAt)

  return {
    count: () => answers.length,
    add: (usage) => {
      answers.push({ output: usage.outputTokens, tokens: Usage.totalTokens(usage), costUsd: usage.costUsd })
      if (answers.length > most) answers.shift()
      usual = undefined
    },
    addCutOff: (tokens) => {
      cutOffAt = Math.max(cutOffAt, tokens)
      usual = undefined
    },
    usual: () => {
      if (answers.length < few) return undefined
      usual ??=
        largest() +
        marginOf(
          answers.map(({ output }) => output),
          largest()
        )
      return usual
    },
    trial: () => (answers.length === 0 ? undefined : trialFactor * largest()),
    largest,
    expected: (requests) => {
      if (answers.length < enough) return undefined
      const costs = answers.flatMap(({ costUsd }) => costUsd ?? [])
      return {
        costUsd: costs.length < answers.length ? null : likelyMean(costs, requests),
        tokens: Math.ceil(
          likelyMean(
            answers.map(({ tokens }) => tokens),
            requests
          )
        )
      }
    }
  }
}

/**
 * What the next answer may have beyond the largest one: more where answers differ more, and less the more of them are known.
 * An answer that it cuts off is paid for twice; a margin that is too large is lost when a worker dies.
 */
const marginOf = (sizes: ReadonlyArray<number>, largest: number): number =>
  Math.ceil(
    (0.05 * largest + Math.sqrt(varianceOf(sizes))) * Math.max(enough / sizes.length, Math.sqrt(enough / sizes.length))
  ) + 2

const meanOf = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

const varianceOf = (values: ReadonlyArray<number>): number => {
  const mean = meanOf(values)
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1)
}

/** A value that the mean of the given number of further values will very probably not exceed. */
const likelyMean = (values: ReadonlyArray<number>, further: number): number => {
  const mean = meanOf(values)
  const error = Math.sqrt(varianceOf(values) * (1 / values.length + 1 / further))
  // A few values that happen to be equal do not mean that the others are.
  return mean * (1.02 + 0.5 / values.length) + standardErrors * error
}
