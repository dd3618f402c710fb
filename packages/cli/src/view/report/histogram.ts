/**
 * Values in groups of like size.
 *
 * @since 0.1.0
 */

/** Values from `from` up to, and without, `to`. */
export interface Bucket {
  readonly from: number
  readonly to: number
  readonly count: number
}

const steps = [1, 2, 5]

/**
 * Groups that grow by the steps 1, 2, 5, 10: durations and costs differ by orders of magnitude. Without values there are
 * none; what is below `least` is in the first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const histogram = (values: Iterable<number>, least: number): ReadonlyArray<Bucket> => {
  const counts = new Map<number, number>()
  for (const value of values) {
    const index = value < least ? 0 : indexOf(value / least)
    counts.set(index, (counts.get(index) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  let first = Infinity
  let last = 0
  for (const index of counts.keys()) {
    first = Math.min(first, index)
    last = Math.max(last, index)
  }
  return Array.from({ length: last - first + 1 }, (_, offset) => {
    const index = first + offset
    return {
      from: index === 0 ? 0 : edge(index) * least,
      to: edge(index + 1) * least,
      count: counts.get(index) ?? 0
    }
  })
}

const edge = (index: number): number => (steps[index % 3] ?? 1) * 10 ** Math.floor(index / 3)

const indexOf = (ratio: number): number => {
  let index = Math.max(0, Math.floor(Math.log10(ratio) * 3) - 1)
  while (edge(index + 1) <= ratio) index++
  return index
}
