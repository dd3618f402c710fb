/**
 * A distribution of durations, for quantiles over any number of them in little memory.
 *
 * @since 0.2.0
 */

/** Each bucket is 2 % wider than the previous one, which is precise enough for durations. */
const growth = Math.log(1.02)

/**
 * A distribution of durations in milliseconds.
 *
 * @category models
 * @since 0.2.0
 */
export class Durations {
  /** The number of durations. */
  count = 0
  private readonly buckets: Array<number> = []

  /** Adds a duration. */
  add(millis: number): void {
    const bucket = Math.max(0, Math.round(Math.log(Math.max(1, millis)) / growth))
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1
    this.count++
  }

  /** The quantile for a share from 0 to 1, in milliseconds. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    // `forEach` skips the holes of the array.
    let found = 0
    this.buckets.forEach((count, bucket) => {
      if (seen < rank) found = bucket
      seen += count
    })
    return Math.exp(found * growth)
  }
}
