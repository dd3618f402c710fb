/** A minute's worth, which is how the API states its limits. */
const minute = 60_000

/** Below this, a difference is an error of rounding. */
const epsilon = 1e-6

/** How fast the forecast forgets one large answer. */
const forgetting = 0.1

/**
 * A token bucket as the API keeps one for each limit: it holds what may be used in a minute and refills continuously.
 *
 * What a request uses is known at its end, and when the API counted it is never known. So of a limit that was set, all
 * that a request may use is held back until its end and taken only then: it fits whenever the API counts it, and the limit
 * is never exceeded. A limit that the server stated is there to be used up: what is likely is taken at the start, and put
 * right at the end and by what the server says next.
 */
export interface Bucket {
  /** The limit that was set, which is kept whatever the server says. */
  readonly set: number | undefined
  /** Whether shares are held back until the end. */
  readonly holds: boolean
  /** The limit that applies; `Infinity` as long as none is known. */
  limit: number
  /** Less than nothing when a request used more than was expected: later ones wait for that. */
  level: number
  /** When `level` was true, in epoch milliseconds. */
  at: number
  /** What requests under way may still use. */
  held: number
  /** All that was ever taken or held: the difference between two readings is what was sent in between. */
  sent: number
  /** How much of what they could have used requests did use lately. */
  share: number
}

/** What a server says of a limit. */
export interface Stated {
  readonly limit: number
  readonly remaining: number
}

/** What a request may use. */
export interface Share {
  /** The most, as far as that can be told before. */
  readonly most: number
  /** What it is counted as until it ends. */
  readonly amount: number
  /** `Bucket.sent` when it was let go. */
  readonly mark: number
}

export const make = (holds: boolean, set: number | undefined, now: number): Bucket => ({
  set,
  holds,
  limit: set ?? Infinity,
  level: set ?? Infinity,
  at: now,
  held: 0,
  sent: 0,
  share: 1
})

const refill = (bucket: Bucket, now: number): void => {
  // A clock that was set back must not take away what is there.
  const elapsed = Math.max(0, now - bucket.at)
  bucket.at = now
  change(bucket, bucket.limit === Infinity ? 0 : (bucket.limit / minute) * elapsed)
}

const change = (bucket: Bucket, amount: number): void => {
  bucket.level = Math.min(bucket.limit, bucket.level + amount)
}

/** What a request that can use `most` is counted as. Most answers are much shorter than they could be. */
const expected = (bucket: Bucket, most: number): number => (bucket.holds ? most : most * bucket.share)

/**
 * How long until there is enough, in milliseconds; `Infinity` when others have to end first. A request that is too large
 * for the bucket goes when the bucket is full.
 */
export const wait = (bucket: Bucket, most: number, now: number): number => {
  if (bucket.limit === Infinity) return 0
  refill(bucket, now)
  const needed = Math.min(expected(bucket, most), bucket.limit) + bucket.held
  const missing = needed - bucket.level
  if (missing <= epsilon) return 0
  return needed > bucket.limit + epsilon ? Infinity : Math.ceil((missing / bucket.limit) * minute)
}

export const take = (bucket: Bucket, most: number, now: number): Share => {
  refill(bucket, now)
  const amount = expected(bucket, most)
  if (bucket.holds) bucket.held += amount
  else change(bucket, -amount)
  bucket.sent += amount
  return { most, amount, mark: bucket.sent }
}

/** A request ended, and so much is what it used. */
export const settle = (bucket: Bucket, { amount, most }: Share, used: number, now: number): void => {
  finish(bucket, amount, used, now)
  if (most <= 0) return
  const share = used / most
  bucket.share = share > bucket.share ? share : bucket.share + (share - bucket.share) * forgetting
}

/** A request used nothing, because it was never sent or was turned away; that tells nothing of those that are answered. */
export const giveBack = (bucket: Bucket, { amount }: Share, now: number): void => finish(bucket, amount, 0, now)

/** Nobody knows what a request used: what was expected of it. */
export const giveUp = (bucket: Bucket, { amount }: Share, now: number): void => finish(bucket, amount, amount, now)

const finish = (bucket: Bucket, amount: number, used: number, now: number): void => {
  refill(bucket, now)
  if (bucket.holds) {
    bucket.held = Math.max(0, bucket.held - amount)
    change(bucket, -used)
  } else {
    change(bucket, amount - used)
  }
}

/**
 * The server stated its limit in the answer to a request. Others may share the limit, so what remains can only be less
 * than what we counted; what was sent after that request is not part of the statement.
 */
export const learn = (bucket: Bucket, { limit, remaining }: Stated, { mark }: Share, now: number): void => {
  refill(bucket, now)
  bucket.limit = Math.min(limit, bucket.set ?? Infinity)
  bucket.level = Math.min(bucket.limit, bucket.level, remaining - (bucket.sent - mark) + bucket.held)
}
