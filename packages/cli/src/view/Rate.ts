/**
 * How fast something goes, lately.
 *
 * @since 0.1.0
 */

interface Sample {
  readonly at: number
  readonly count: number
}

/** Long enough to be steady, short enough to follow a change. */
const window = 15_000
const spacing = 500

/** A rate over fewer than this says little; the whole time so far says more. */
const steady = 5

/**
 * A rate, fed with how many there are by now.
 *
 * @category models
 * @since 0.1.0
 */
export class Rate {
  private readonly start: Sample
  private samples: Array<Sample>

  constructor(at: number, count = 0) {
    this.start = { at, count }
    this.samples = [this.start]
  }

  /** How many come per second; zero while none has. */
  perSecond(now: number, count: number): number {
    const last = this.samples.at(-1)
    if (last !== undefined && now - last.at >= spacing) {
      this.samples.push({ at: now, count })
      const oldest = this.samples.findLastIndex(({ at }) => at <= now - window)
      if (oldest > 0) this.samples = this.samples.slice(oldest)
    }
    const first = this.samples[0] ?? this.start
    const since = count - first.count >= steady ? first : this.start
    const millis = now - since.at
    return millis <= 0 ? 0 : (Math.max(0, count - since.count) / millis) * 1000
  }
}
