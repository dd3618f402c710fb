/** The API states its limits per minute. */
const minute = 60_000

/** Smaller differences are rounding errors. */
const epsilon = 1e-6

/** The weight of one answer in the average share that requests use. */
const smoothing = 0.1

/**
 * How requests use up a bucket:
 *
 * - `counted`: each request takes one at its start
 * - `reserved`: all that a request may use is reserved until its end, and its actual use is taken then. When exactly the API
 *   counts is unknown, so this way the request fits at any time, and a configured limit is never exceeded
 * - `expected`: the likely use is taken at the start and corrected at the end. A limit that the server states may be used up
 *   completely, and the server reports when too much was used
 */
export type Mode = "counted" | "reserved" | "expected"

/** A token bucket, as the API has one for each limit: it holds what may be used in a minute and refills continuously. */
export interface TokenBucket {
  readonly mode: Mode
  /** The configured limit, which is kept whatever the server states. */
  readonly configured: number | undefined
  /** The limit of all processes together; `Infinity` as long as none is known. */
  whole: number
  /** The part of it that this process may use, from 0 to 1. */
  part: number
  /** The limit of this process. */
  limit: number
  /** Negative when a request used more than was expected: later requests wait for the difference. */
  level: number
  /** When `level` was last computed, in epoch milliseconds. */
  at: number
  /** The amounts of the running requests. */
  running: number
  /** The sum of all amounts ever taken: the difference between two readings was taken in between. */
  taken: number
  /** The average share of its maximum that a request uses. */
  share: number
}

/** What a server states about a limit. */
export interface StatedLimit {
  readonly limit: number
  readonly remaining: number
}

/** The share of one request in a bucket. */
export interface Taken {
  /** The most that the request can use. */
  readonly most: number
  /** What counts for it until its end. */
  readonly amount: number
  /** `TokenBucket.taken` when the request was admitted. */
  readonly mark: number
}

export const make = (mode: Mode, configured: number | undefined, now: number): TokenBucket => ({
  mode,
  configured,
  whole: configured ?? Infinity,
  part: 1,
  limit: configured ?? Infinity,
  level: configured ?? Infinity,
  at: now,
  running: 0,
  taken: 0,
  share: 1
})

const refill = (bucket: TokenBucket, now: number): void => {
  // A clock that was set back must not drain the bucket.
  const elapsed = Math.max(0, now - bucket.at)
  bucket.at = now
  change(bucket, bucket.limit === Infinity ? 0 : (bucket.limit / minute) * elapsed)
}

/** Changes the part of the limit that this process may use. The level changes in proportion. */
export const setPart = (bucket: TokenBucket, part: number, now: number): void => {
  refill(bucket, now)
  if (bucket.level > 0 && bucket.level !== Infinity) bucket.level *= part / bucket.part
  bucket.part = part
  bucket.limit = bucket.whole * part
}

const reserved = ({ mode, running }: TokenBucket): number => (mode === "reserved" ? running : 0)

const change = (bucket: TokenBucket, amount: number): void => {
  bucket.level = Math.min(bucket.limit, bucket.level + amount)
}

/** What counts for a request that can use `most`. Most answers are much shorter than their maximum. */
const expected = (bucket: TokenBucket, most: number): number =>
  bucket.mode === "expected" ? most * bucket.share : most

/**
 * The time until a request fits, in milliseconds; `Infinity` when others have to end first. A request that is larger than
 * the bucket starts when the bucket is full.
 */
export const wait = (bucket: TokenBucket, most: number, now: number): number => {
  if (bucket.limit === Infinity) return 0
  refill(bucket, now)
  const needed = Math.min(expected(bucket, most), bucket.limit) + reserved(bucket)
  const missing = needed - bucket.level
  if (missing <= epsilon) return 0
  return needed > bucket.limit + epsilon ? Infinity : Math.ceil((missing / bucket.limit) * minute)
}

export const take = (bucket: TokenBucket, most: number, now: number): Taken => {
  refill(bucket, now)
  const amount = expected(bucket, most)
  if (bucket.mode !== "reserved") change(bucket, -amount)
  bucket.running += amount
  bucket.taken += amount
  return { most, amount, mark: bucket.taken }
}

/** Corrects the amount of a request to its actual use. */
export const settle = (bucket: TokenBucket, { amount, most }: Taken, used: number, now: number): void => {
  finish(bucket, amount, used, now)
  if (most <= 0) return
  const share = used / most
  bucket.share = share > bucket.share ? share : bucket.share + (share - bucket.share) * smoothing
}

/** Returns all of it for a request that was refused; such a request does not change the average share. */
export const giveBack = (bucket: TokenBucket, { amount }: Taken, now: number): void => finish(bucket, amount, 0, now)

/** Undoes `take` for a request that was not sent. */
export const cancel = (bucket: TokenBucket, { amount }: Taken, now: number): void => {
  finish(bucket, amount, 0, now)
  bucket.taken -= amount
}

/** Settles a request whose use is unknown at the expected amount. */
export const settleUnknown = (bucket: TokenBucket, { amount }: Taken, now: number): void =>
  finish(bucket, amount, amount, now)

const finish = (bucket: TokenBucket, amount: number, used: number, now: number): void => {
  refill(bucket, now)
  bucket.running = Math.max(0, bucket.running - amount)
  change(bucket, bucket.mode === "reserved" ? -used : amount - used)
}

/**
 * Applies a limit that the server stated in the answer to a request. The first such statement may not include running
 * requests or those that were sent later, so they are subtracted. From then on this bucket keeps count, and the statements
 * only show what others use of the same limit: subtracting again what the server may not have counted yet would cost up to
 * a minute each time.
 */
export const learn = (bucket: TokenBucket, { limit, remaining }: StatedLimit, { mark }: Taken, now: number): void => {
  refill(bucket, now)
  const uncounted = bucket.mode === "counted" ? bucket.taken - mark : bucket.running
  const mine = remaining * bucket.part
  const left = bucket.limit === Infinity ? mine - uncounted : mine + reserved(bucket)
  bucket.whole = Math.min(limit, bucket.configured ?? Infinity)
  bucket.limit = bucket.whole * bucket.part
  bucket.level = Math.min(bucket.limit, bucket.level, left)
}
