/** Tasks are claimed ahead when workers are expected to start them within this time, in milliseconds. */
export const aheadMillis = 50

/** More tasks in one claim make it longer without making it cheaper. */
const maxAhead = 1000

/** More than this are claimed ahead only of a store whose claims take time. The memory store is no faster with more. */
const enoughAhead = 64

/** The workers have tasks for this many claims, because some claims take longer than others. */
const claimsAhead = 4

/**
 * Decides how many tasks are claimed ahead of the workers: as many as the workers are expected to start within
 * `aheadMillis`, and no more than they have recently ended, each within that time. So tasks of seconds are never claimed
 * ahead, and those behind a long one can run elsewhere. Above `enoughAhead`, no more than they start during `claimsAhead` claims.
 */
export interface Pace {
  readonly ahead: () => number
  /** As many as the workers are expected to start within `millis`, or four for each worker, as far as tasks are short. */
  readonly within: (millis: number) => number
  /** A worker was occupied with a task from `from` until `to`. */
  readonly observe: (from: number, to: number) => void
  /** A claim that returned tasks took this long. */
  readonly observeClaim: (millis: number) => void
  /** A task that was claimed ahead waited for too long: earlier observations are outdated. */
  readonly reset: () => void
}

export const make = (concurrency: () => number): Pace => {
  // Several rounds of all workers, because attempts that start together also end together.
  const span = () => 500 + 2 * concurrency()
  let observed = 0
  /** Exponentially weighted means of the duration of a task, and of the working time per task of all workers together. */
  let duration = 0
  let step = 0
  let lastEnd = -Infinity
  /** The tasks that recently ended within `aheadMillis`. */
  let short = 0
  /** The exponentially weighted mean of the duration of a claim. */
  let claim: number | undefined
  return {
    ahead: () => {
      const inClaims = claim === undefined || step === 0 ? Infinity : (claimsAhead * claim) / step
      return Math.floor(Math.min(short, aheadMillis / step, Math.max(enoughAhead, inClaims)))
    },
    within: (millis) => Math.floor(Math.min(short, Math.max(4 * concurrency(), millis / step))),
    observe: (from, to) => {
      const took = to - from
      // A long task takes one worker away from the others.
      short = took > aheadMillis ? short - short / concurrency() : Math.min(short + 1, maxAhead)
      const weight = 1 / Math.min(++observed, span())
      // A task that is much longer than the others was waiting for its process, which was busy with the store for instance.
      const counted = observed === 1 ? took : Math.min(took, 4 * duration)
      duration += (counted - duration) * weight
      // Not `took / concurrency`: workers that compute take turns, and one that is held up starts nothing.
      step += (Math.min(to - lastEnd, counted) - step) * weight
      lastEnd = to
    },
    observeClaim: (millis) => {
      claim ??= millis
      claim += (Math.min(millis, 2 * claim) - claim) / 4
    },
    reset: () => {
      short = 0
      observed = 0
    }
  }
}
