/** The rate at which the tasks of a queue end, from the counts that the page has seen. */

export interface Sample {
  readonly at: number
  /** The number of tasks that had ended. */
  readonly done: number
}

/** Older samples say nothing about the rate now. */
const windowMillis = 60_000

/** Shorter periods give rates that jump. */
const leastMillis = 2_000

/** Adds a sample. Tasks that were requeued or pruned start a new measurement. */
export const add = (samples: ReadonlyArray<Sample>, sample: Sample): ReadonlyArray<Sample> => {
  const last = samples.at(-1)
  if (last !== undefined && sample.done < last.done) return [sample]
  return [...samples.filter(({ at }) => at > sample.at - windowMillis), sample]
}

/** Tasks per minute; undefined until there are enough samples. */
export const perMinute = (samples: ReadonlyArray<Sample>): number | undefined => {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.at - first.at < leastMillis) return undefined
  return ((last.done - first.done) * 60_000) / (last.at - first.at)
}
