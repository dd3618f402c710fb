/** A minute's worth, which is how the API states its limits. */
const minute = 60_000

/** Below this, a difference is an error of rounding. */
const epsilon = 1e-6

/** How fast the forecast forgets one large answer. */
const forgetting = 0.1

/**
 * A token bucket as the API keeps one for each limit: it holds what may be used in a minute and refills continuously.
 * It can be overdrawn, because what a request uses is known at its end; later requests wait for that.
 */
export interface Bucket {
  /** The limit that was set, which is kept whatever the server says. */
  readonly set: number | undefined
  /** The limit that applies; `Infinity` as long as none is known. */
  limit: number
  level: number
  /** When `level` was true, in epoch milliseconds. */
  at: number
  /** All that was ever taken: the difference between two readings is what was taken in between. */
  taken: number
  /** How much of what they could have used requests did use lately. */
  share: number
}

/** What a server says of a limit. */
export interface Stated {
  readonly limit: number
  readonly remaining: number
}

/** What a request took. */
export interface Share {
  /** What it can use at most, as far as that can be told before. */
  readonly most: number
  readonly amount: number
  /** `Bucket.taken` afterwards. */
  readonly mark: number
}

export const make = (set: number | undefined, now: number): Bucket => ({
  set,
  limit: set ?? Infinity,
  level: set ?? Infinity,
  at: now,
  taken: 0,
  share: 1
})

const refill = (bucket: Bucket, now: number): void => {
  // A clock that was set back must not take away what is there.
  const elapsed = Math.max(0, now - bucket.at)
  if (bucket.limit !== Infinity) {
    bucket.level = Math.min(bucket.limit, bucket.level + (bucket.limit / minute) * elapsed)
  }
  bucket.at = now
}

/**
 * What a request that can use `most` is counted as until it ends. A limit that was set holds whatever requests turn out
 * to use. One that the server stated is there to be used up: most answers are much shorter than they could be.
 */
const expected = (bucket: Bucket, most: number): number => (bucket.set === undefined ? most * bucket.share : most)

/** How long until there is enough, in milliseconds. A request that no bucket could hold goes when the bucket is full. */
export const wait = (bucket: Bucket, most: number, now: number): number => {
  if (bucket.limit === Infinity) return 0
  refill(bucket, now)
  const missing = Math.min(expected(bucket, most), bucket.limit) - bucket.level
  return missing <= epsilon ? 0 : Math.ceil((missing / bucket.limit) * minute)
}

export const take = (bucket: Bucket, most: number, now: number): Share => {
  refill(bucket, now)
  const amount = expected(bucket, most)
  bucket.level -= amount
  bucket.taken += amount
  return { most, amount, mark: bucket.taken }
}

/** A request ended and used so much: the rest is there again, or what it used besides is owed. */
export const settle = (bucket: Bucket, { amount, most }: Share, used: number, now: number): void => {
  refill(bucket, now)
  bucket.level = Math.min(bucket.limit, bucket.level + amount - used)
  if (most <= 0) return
  const share = used / most
  bucket.share = share > bucket.share ? share : bucket.share + (share - bucket.share) * forgetting
}

/** A request never reached the server, or was turned away: it used nothing, and tells nothing of those that are not. */
export const giveBack = (bucket: Bucket, { amount }: Share, now: number): void => {
  refill(bucket, now)
  bucket.level = Math.min(bucket.limit, bucket.level + amount)
}

/**
 * The server stated its limit in the answer to a request. Others may share the limit, so what remains can only be less
 * than what we counted; what we sent after that request is not part of its statement.
 */
export const learn = (bucket: Bucket, { limit, remaining }: Stated, { mark }: Share, now: number): void => {
  refill(bucket, now)
  bucket.limit = Math.min(limit, bucket.set ?? Infinity)
  bucket.level = Math.min(bucket.limit, bucket.level, remaining - (bucket.taken - mark))
}
