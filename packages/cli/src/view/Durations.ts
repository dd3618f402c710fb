/**
 * How long many things took, in a few hundred numbers, however many there were.
 *
 * @since 0.1.0
 */

/** Each step is 2 % longer than the one before: nobody reads a duration more exactly. */
const growth = Math.log(1.02)

/**
 * A distribution of durations.
 *
 * @category models
 * @since 0.1.0
 */
export class Durations {
  count = 0
  private readonly steps: Array<number> = []

  add(millis: number): void {
    const step = Math.max(0, Math.round(Math.log(Math.max(1, millis)) / growth))
    this.steps[step] = (this.steps[step] ?? 0) + 1
    this.count++
  }

  /** The milliseconds that this share of them, 0 to 1, did not exceed. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    // Holes count nothing: `forEach` skips them.
    let found = 0
    this.steps.forEach((count, step) => {
      if (seen < rank) found = step
      seen += count
    })
    return Math.exp(found * growth)
  }
}
