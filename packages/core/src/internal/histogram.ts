/**
 * A histogram with the edges 1, 2, 5, 10 and so on, because durations and costs differ by orders of magnitude. Values below
 * `least` are in the first bucket. Its memory grows with the logarithm of the greatest value.
 */
export const make = (least: number) => {
  const counts = new Map<number, number>()
  return {
    add: (value: number): void => {
      const index = value < least ? 0 : indexOf(value / least)
      counts.set(index, (counts.get(index) ?? 0) + 1)
    },
    /** All buckets from the first to the last one with values; empty without values. */
    buckets: (): ReadonlyArray<{ readonly from: number; readonly to: number; readonly count: number }> => {
      if (counts.size === 0) return []
      const first = Math.min(...counts.keys())
      const last = Math.max(...counts.keys())
      return Array.from({ length: last - first + 1 }, (_, offset) => {
        const index = first + offset
        return {
          from: index === 0 ? 0 : edge(index) * least,
          to: edge(index + 1) * least,
          count: counts.get(index) ?? 0
        }
      })
    }
  }
}

const steps = [1, 2, 5]

const edge = (index: number): number => (steps[index % 3] ?? 1) * 10 ** Math.floor(index / 3)

const indexOf = (ratio: number): number => {
  let index = Math.max(0, Math.floor(Math.log10(ratio) * 3) - 1)
  while (edge(index + 1) <= ratio) index++
  return index
}
