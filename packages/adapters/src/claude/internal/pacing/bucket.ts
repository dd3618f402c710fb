/** A minute's worth, which is how the API states its limits. */
const minute = 60_000

/** Below this, a difference is an error of rounding. */
const epsilon = 1e-6

/** How fast the forecast forgets one large answer. */
const forgetting = 0.1

/**
 * How requests use up a bucket:
 *
 * - `counted`: each is one, from the start
 * - `held`: all that it may use is held back until its end and taken only then. What it uses is known at its end, and
 *   when the API counted it is never known: so it fits at any time, and a limit that was set is never exceeded
 * - `expected`: what is likely is taken at the start, and put right at the end. A limit that the server stated is there to
 *   be used up, and it says when we took too much
 */
export type Use = "counted" | "held" | "expected"

/** A token bucket as the API keeps one for each limit: it holds what may be used in a minute and refills continuously. */
export interface Bucket {
  readonly use: Use
  /** The limit that was set, which is kept whatever the server says. */
  readonly set: number | undefined
  /** The limit that applies; `Infinity` as long as none is known. */
  limit: number
  /** Less than nothing when a request used more than was expected: later ones wait for that. */
  level: number
  /** When `level` was true, in epoch milliseconds. */
  at: number
  /** The amounts of the requests under way. */
  pending: number
  /** All amounts that were ever sent: the difference between two readings is what was sent in between. */
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

export const make = (use: Use, set: number | undefined, now: number): Bucket => ({
  use,
  set,
  limit: set ?? Infinity,
  level: set ?? Infinity,
  at: now,
  pending: 0,
  sent: 0,
  share: 1
})

const refill = (bucket: Bucket, now: number): void => {
  // A clock that was set back must not take away what is there.
  const elapsed = Math.max(0, now - bucket.at)
  bucket.at = now
  change(bucket, bucket.limit === Infinity ? 0 : (bucket.limit / minute) * elapsed)
}

const held = ({ pending, use }: Bucket): number => (use === "held" ? pending : 0)

const change = (bucket: Bucket, amount: number): void => {
  bucket.level = Math.min(bucket.limit, bucket.level + amount)
}

/** What a request that can use `most` is counted as. Most answers are much shorter than they could be. */
const expected = (bucket: Bucket, most: number): number => (bucket.use === "expected" ? most * bucket.share : most)

/**
 * How long until there is enough, in milliseconds; `Infinity` when others have to end first. A request that is too large
 * for the bucket goes when the bucket is full.
 */
export const wait = (bucket: Bucket, most: number, now: number): number => {
  if (bucket.limit === Infinity) return 0
  refill(bucket, now)
  const needed = Math.min(expected(bucket, most), bucket.limit) + held(bucket)
  const missing = needed - bucket.level
  if (missing <= epsilon) return 0
  return needed > bucket.limit + epsilon ? Infinity : Math.ceil((missing / bucket.limit) * minute)
}

export const take = (bucket: Bucket, most: number, now: number): Share => {
  refill(bucket, now)
  const amount = expected(bucket, most)
  if (bucket.use !== "held") change(bucket, -amount)
  bucket.pending += amount
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
  bucket.pending = Math.max(0, bucket.pending - amount)
  change(bucket, bucket.use === "held" ? -used : amount - used)
}

/**
 * The server stated its limit in the answer to a request. The first time that is all we know, and nothing is in it for sure
 * of what has not ended, or of requests that were sent later. From then on we keep count ourselves, and hear only of others
 * who use the same limit: to take off again and again what the server may not have counted yet would cost up to a minute.
 */
export const learn = (bucket: Bucket, { limit, remaining }: Stated, { mark }: Share, now: number): void => {
  refill(bucket, now)
  const uncounted = bucket.use === "counted" ? bucket.sent - mark : bucket.pending
  const left = bucket.limit === Infinity ? remaining - uncounted : remaining + held(bucket)
  bucket.limit = Math.min(limit, bucket.set ?? Infinity)
  bucket.level = Math.min(bucket.limit, bucket.level, left)
}
