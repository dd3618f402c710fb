import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { Tokens } from "../../Reply.ts"
import * as Bucket from "./bucket.ts"
import { type Headers, reset, type Resource, resources, stated, tokenResources } from "./limits.ts"
import * as Queue from "./queue.ts"

/** What a request may use, by resource. */
export type Demand = Readonly<Record<Resource, number>>

export type Limits = Readonly<Partial<Record<Resource, number | undefined>>>

/** A request that was let go. */
export interface Admission {
  readonly admittedAt: number
  readonly shares: Readonly<Record<Resource, Bucket.Share>>
  /** When the server said that its limits will be whole again. */
  reset: number | undefined
}

/** A request that waits to be let go. */
export interface Waiting extends Queue.Entry<Waiting> {
  readonly demand: Demand
  readonly resume: (effect: Effect.Effect<Admission>) => void
  /** Set when it left the queue because it may go. */
  admission: Admission | undefined
}

type Admitted = Pick<Waiting, "resume"> & { readonly admission: Admission }

/** All that shares the limits of one model. Nothing in here waits or takes the time: whoever calls does. */
export interface Pool {
  readonly buckets: Readonly<Record<Resource, Bucket.Bucket>>
  readonly queue: Queue.Queue<Waiting>
  running: number
  /** How many may be under way at the same time: `Infinity` until the server objects to a steep rise. */
  window: number
  /** Nobody goes before this, in epoch milliseconds. */
  pausedUntil: number
  /** How often in a row the server turned requests away, those that were sent together counted once. */
  streak: number
}

/** Without a word of the server, a pause is so long at first, and doubles up to the longest. */
const firstPause = 1000
const longestPause = 60_000

/** Nobody waits longer than this on the server's word alone: then one request asks again. In milliseconds. */
export const longestAsked = Duration.toMillis("5 minutes")

export const make = (limits: Limits, now: number): Pool => ({
  buckets: {
    requests: Bucket.make("counted", limits.requests, now),
    "input-tokens": tokenBucket(limits["input-tokens"], now),
    "output-tokens": tokenBucket(limits["output-tokens"], now),
    tokens: tokenBucket(limits.tokens, now)
  },
  queue: Queue.make(),
  running: 0,
  window: Infinity,
  pausedUntil: 0,
  streak: 0
})

const tokenBucket = (limit: number | undefined, now: number) =>
  Bucket.make(limit === undefined ? "expected" : "held", limit, now)

/** How long until a request may go, in milliseconds; `Infinity` when another has to end first. */
export const wait = (pool: Pool, demand: Demand, now: number): number => {
  if (pool.running >= Math.floor(pool.window)) return Infinity
  let longest = Math.max(0, pool.pausedUntil - now)
  for (const resource of resources) {
    longest = Math.max(longest, Bucket.wait(pool.buckets[resource], demand[resource], now))
  }
  return longest
}

const admit = (pool: Pool, demand: Demand, now: number): Admission => {
  pool.running++
  const take = (resource: Resource) => Bucket.take(pool.buckets[resource], demand[resource], now)
  return {
    admittedAt: now,
    shares: {
      requests: take("requests"),
      "input-tokens": take("input-tokens"),
      "output-tokens": take("output-tokens"),
      tokens: take("tokens")
    },
    reset: undefined
  }
}

/** Lets a request go at once, unless it has to wait or others do. */
export const tryAdmit = (pool: Pool, demand: Demand, now: number): Admission | undefined =>
  pool.queue.size === 0 && wait(pool, demand, now) === 0 ? admit(pool, demand, now) : undefined

/** Takes those out of the queue who may go now, in their order. They have to be told. */
export const admitWaiting = (pool: Pool, now: number): ReadonlyArray<Admitted> => {
  const admitted: Array<Admitted> = []
  for (let first = pool.queue.first; first !== undefined; first = pool.queue.first) {
    if (wait(pool, first.demand, now) > 0) break
    Queue.leave(pool.queue, first)
    const admission = admit(pool, first.demand, now)
    first.admission = admission
    admitted.push({ admission, resume: first.resume })
  }
  return admitted
}

/** It was let go and never went. */
export const withdraw = (pool: Pool, { shares }: Admission, now: number): void => {
  pool.running--
  for (const resource of resources) Bucket.giveBack(pool.buckets[resource], shares[resource], now)
}

export const heard = (pool: Pool, admission: Admission, headers: Headers, now: number): void => {
  let isUsedUp = false
  for (const resource of resources) {
    const found = stated(headers, resource)
    if (found === undefined) continue
    Bucket.learn(pool.buckets[resource], found, admission.shares[resource], now)
    isUsedUp ||= found.remaining === 0
  }
  admission.reset = isUsedUp ? reset(headers) : undefined
}

export const answered = (pool: Pool, admission: Admission, tokens: Tokens, now: number): void => {
  pool.running--
  settle(pool, admission, tokens, now)
  // One more for each window's worth of answers: a slow rise is what the server asks for.
  if (pool.window !== Infinity) pool.window += 1 / pool.window
  if (isNews(pool, admission)) pool.streak = 0
}

/** What it used is what counts; what came out of the prompt cache does not. */
const settle = (pool: Pool, { shares }: Admission, tokens: Tokens, now: number): void => {
  const input = tokens.input + tokens.cacheWrite5m + tokens.cacheWrite1h
  Bucket.settle(pool.buckets["input-tokens"], shares["input-tokens"], input, now)
  Bucket.settle(pool.buckets["output-tokens"], shares["output-tokens"], tokens.output, now)
  Bucket.settle(pool.buckets.tokens, shares.tokens, input + tokens.output, now)
}

export const interrupted = (pool: Pool, { shares }: Admission, now: number): void => {
  pool.running--
  for (const resource of tokenResources) Bucket.giveUp(pool.buckets[resource], shares[resource], now)
}

export const failed = (pool: Pool, admission: Admission, error: ClaudeError, now: number): void => {
  if (error.tokens === null) {
    interrupted(pool, admission, now)
  } else {
    pool.running--
    if (error.tokens.input + error.tokens.output > 0) settle(pool, admission, error.tokens, now)
    else turnedAway(pool, admission, now)
  }
  // No key, no money: waiting helps nobody, and the run ends by itself.
  if (error.reason === "Fatal") return
  if (error.type === "ramp_limit_exceeded") {
    // Those that were sent together are turned away together, and are one objection.
    if (isNews(pool, admission)) pool.window = Math.max(1, Math.floor((pool.running + 1) / 2))
    pause(pool, admission, error, now)
  } else if (pausing.types.has(error.type) || pausing.statuses.has(error.status)) {
    pause(pool, admission, error, now)
  }
}

/** Turned away at a limit, or because the server has too much to do. */
const pausing = {
  types: new Set(["rate_limit_error", "overloaded_error"]),
  statuses: new Set<number | undefined>([429, 529])
}

/** The server counts a request that it turned away, and none of its tokens. */
const turnedAway = (pool: Pool, { shares }: Admission, now: number): void => {
  for (const resource of tokenResources) Bucket.giveBack(pool.buckets[resource], shares[resource], now)
}

/** Whether a request was sent after the last pause; what was sent before knew nothing of it. */
const isNews = (pool: Pool, { admittedAt }: Admission): boolean => admittedAt >= pool.pausedUntil

const pause = (pool: Pool, admission: Admission, { retryAfter }: ClaudeError, now: number): void => {
  const asked = retryAfter === undefined ? admission.reset : now + Duration.toMillis(retryAfter)
  const own = isNews(pool, admission) ? now + Math.min(longestPause, firstPause * 2 ** pool.streak++) : 0
  // The clocks of others may be wrong, so a time that has passed says nothing.
  const until = asked !== undefined && (retryAfter !== undefined || asked > now) ? asked : own
  pool.pausedUntil = Math.max(pool.pausedUntil, Math.min(until, now + longestAsked))
}
