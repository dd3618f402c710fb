import type { Usage } from "@baton/core/Usage"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ModelError } from "./ModelError.ts"
import { tokensOfFiles, withoutFiles } from "./files.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { Headers } from "./Client.ts"
import * as TokenBucket from "./tokenBucket.ts"

/**
 * What the API limits for each model. `tokens` is input and output together: the API states it for workspaces that have
 * such a limit.
 */
const tokenResources = ["input-tokens", "output-tokens", "tokens"] as const

const resources = ["requests", ...tokenResources] as const

export type Resource = (typeof resources)[number]

/** The most that a request may use of each resource. */
export type Demand = Readonly<Record<Resource, number>>

export type Limits = Readonly<Partial<Record<Resource, number | undefined>>>

/**
 * A low number of bytes for each token: English has about four, most other scripts three, where a token is often a letter.
 * The answer tells the actual number.
 */
const bytesPerToken = 3

export const demandOf = ({ max_tokens, messages, model, output_config, system }: MessageRequest): Demand => {
  const bytes = Buffer.byteLength(JSON.stringify([system, messages, output_config], withoutFiles))
  const input = Math.ceil(bytes / bytesPerToken) + tokensOfFiles(messages, model).most
  return { requests: 1, "input-tokens": input, "output-tokens": max_tokens, tokens: input + max_tokens }
}

/** The demand of the same request with another `max_tokens`. */
export const withMaxTokens = (demand: Demand, maxTokens: number): Demand => ({
  ...demand,
  "output-tokens": maxTokens,
  tokens: demand["input-tokens"] + maxTokens
})

/**
 * The models whose requests the API counts together. It has one limit for all Opus 4 models, and one for all Sonnet 4 models;
 * other models have their own. A date in the name is not another model.
 */
export const classOf = (model: string): string =>
  /^claude-(?:opus|sonnet)-4(?=-|$)/.exec(model)?.[0] ?? model.replace(/-\d{8}$/, "")

/** A request that was admitted. */
export interface Admission {
  /**
   * - `turn`: it may be sent now
   * - `passed`: its turn has passed, because it waited for its budget; it has nothing of the limits
   * - `sent`: it was sent
   */
  state: "turn" | "passed" | "sent"
  admittedAt: number
  taken: Readonly<Record<Resource, TokenBucket.Taken>>
  /** By how much it delayed the next request, in milliseconds. */
  interval: number
  /** When the used-up limits are full again, as the server stated it. */
  reset: number | undefined
}

/**
 * A request that waits. The queue is linked both ways, so that leaving it takes constant time at any length; a `Set` walks
 * over all its removed entries to find its first.
 */
export interface Waiting {
  readonly demand: Demand
  /** The queue is in this order. A request whose turn has passed keeps its place. */
  readonly place: number
  readonly resume: (effect: Effect.Effect<Admission>) => void
  /** Set when it left the queue because it was admitted. */
  admission: Admission | undefined
  previous: Waiting | undefined
  next: Waiting | undefined
}

type Admitted = Pick<Waiting, "resume"> & { readonly admission: Admission }

/** The shared limits of one model. No function here waits or reads the clock. */
export interface RateLimitPool {
  readonly buckets: Readonly<Record<Resource, TokenBucket.TokenBucket>>
  readonly queue: { first: Waiting | undefined; last: Waiting | undefined; size: number }
  /** The latest place that was given. */
  places: number
  /** Those whose turn it is, the earliest first. */
  readonly turns: Set<Admission>
  /** How many requests run, including those whose turn it is. */
  running: number
  /** How many requests may run at the same time: `Infinity` until the server objects to a steep rise. */
  window: number
  /** No request starts before this, in epoch milliseconds. */
  pausedUntil: number
  /** The pace where the server refuses requests and states no limit. */
  readonly pace: Pace
  /** The use of the limits by this process since its last report. */
  readonly use: { since: number; hasWaited: boolean; readonly taken: Record<Resource, number> }
  /** Since when all answers have been overload errors, in epoch milliseconds; undefined when they have not. */
  overloadedSince: number | undefined
}

/**
 * A rate that is found by trial, by additive increase and multiplicative decrease. A refusal lowers it to a share of the rate
 * at which the server recently accepted requests; each answer raises it.
 */
interface Pace {
  /** Requests per second: `Infinity` until the server refuses one without stating a limit. */
  rate: number
  /** How much the rate grows per second, at that rate. */
  increase: number
  /** When the next request may start, in epoch milliseconds. */
  nextAt: number
  /** When the rate was last lowered. Requests from before say nothing new. */
  loweredAt: number
  /** The number of recently accepted requests, where older ones weigh less. */
  accepted: number
  /** When `accepted` was last computed. */
  at: number
  /** Since when requests are counted: the beginning, or the end of the last long break. */
  countedSince: number
}

/** The time over which `accepted` is counted, in milliseconds. */
const paceMemory = 10_000
const paceDecrease = 0.7
const paceIncrease = 0.02
const lowestIncrease = 0.1
/** One request per minute. */
const lowestRate = 1 / 60

/** The longest delay for requests to an overloaded server, in milliseconds. */
const longestOverloadDelay = 60_000

/** The longest pause that the server's word alone can cause; after it, one request asks again. */
const longestAsked = Duration.toMillis("5 minutes")

/**
 * How long a turn lasts while others wait, in milliseconds. A reservation in a store takes a few; a longer wait is one for the
 * budget.
 */
const longestTurn = 1000

/** The pause after an objection to a steep rise without a time, in milliseconds. */
const defaultRampPause = 1000

export const make = (limits: Limits, now: number): RateLimitPool => ({
  buckets: {
    requests: TokenBucket.make("counted", limits.requests, now),
    "input-tokens": tokenBucket(limits["input-tokens"], now),
    "output-tokens": tokenBucket(limits["output-tokens"], now),
    tokens: tokenBucket(limits.tokens, now)
  },
  queue: { first: undefined, last: undefined, size: 0 },
  places: 0,
  turns: new Set(),
  running: 0,
  window: Infinity,
  pausedUntil: 0,
  pace: {
    rate: Infinity,
    increase: lowestIncrease,
    nextAt: 0,
    loweredAt: -Infinity,
    accepted: 0,
    at: now,
    countedSince: now
  },
  use: { since: now, hasWaited: false, taken: { requests: 0, "input-tokens": 0, "output-tokens": 0, tokens: 0 } },
  overloadedSince: undefined
})

const tokenBucket = (limit: number | undefined, now: number) =>
  TokenBucket.make(limit === undefined ? "expected" : "reserved", limit, now)

/** The smallest part of the limits that a process asks for, so that it can begin to send, and the margin on its use. */
const leastWanted = 0.02
const wantedMargin = 1.25

/** The part of the limits that this process wants, from 0 to 1: a little more than it used, or everything if requests waited. */
export const wanted = ({ buckets, queue, use }: RateLimitPool, now: number): number => {
  const minutes = Math.max(1, now - use.since) / 60_000
  const isShort = queue.size > 0 || use.hasWaited
  let used = 0
  for (const resource of resources) {
    const { taken, whole } = buckets[resource]
    used = Math.max(used, (taken - use.taken[resource]) / (whole * minutes))
    use.taken[resource] = taken
  }
  use.since = now
  use.hasWaited = false
  return isShort ? 1 : Math.min(1, leastWanted + wantedMargin * used)
}

/** Of the smallest part, a request can still be made from time to time. */
const smallestPart = 0.001

/** Sets the part of the limits that this process may use, from 0 to 1. */
export const setPart = ({ buckets }: RateLimitPool, part: number, now: number): void => {
  for (const resource of resources) TokenBucket.setPart(buckets[resource], Math.max(smallestPart, part), now)
}

export const nextPlace = (pool: RateLimitPool): number => ++pool.places

export const join = ({ queue, use }: RateLimitPool, waiting: Waiting): void => {
  use.hasWaited = true
  // Only a request whose turn has passed is before others, and few are before it.
  let next = queue.last !== undefined && queue.last.place > waiting.place ? queue.first : undefined
  while (next !== undefined && next.place < waiting.place) next = next.next
  const previous = next === undefined ? queue.last : next.previous
  waiting.previous = previous
  waiting.next = next
  if (previous === undefined) queue.first = waiting
  else previous.next = waiting
  if (next === undefined) queue.last = waiting
  else next.previous = waiting
  queue.size++
}

/** The request has to be in the queue. */
export const leave = ({ queue }: RateLimitPool, waiting: Waiting): void => {
  if (waiting.previous === undefined) queue.first = waiting.next
  else waiting.previous.next = waiting.next
  if (waiting.next === undefined) queue.last = waiting.previous
  else waiting.next.previous = waiting.previous
  waiting.previous = undefined
  waiting.next = undefined
  queue.size--
}

/** The time until a request may start, in milliseconds; `Infinity` when another one has to end first. */
export const wait = (pool: RateLimitPool, demand: Demand, now: number): number => {
  if (pool.running >= Math.floor(pool.window)) return Infinity
  let longest = Math.max(0, pool.pausedUntil - now, Math.ceil(pool.pace.nextAt - now))
  for (const resource of resources) {
    longest = Math.max(longest, TokenBucket.wait(pool.buckets[resource], demand[resource], now))
  }
  return longest
}

const admit = (pool: RateLimitPool, demand: Demand, now: number): Admission => {
  const admission: Admission = { state: "turn", admittedAt: now, ...take(pool, demand, now), reset: undefined }
  pool.turns.add(admission)
  return admission
}

const take = (pool: RateLimitPool, demand: Demand, now: number): Pick<Admission, "taken" | "interval"> => {
  pool.running++
  countAccepted(pool.pace, 1, now)
  const interval = 1000 / pool.pace.rate
  pool.pace.nextAt = Math.max(pool.pace.nextAt, now) + interval
  const takeFrom = (resource: Resource) => TokenBucket.take(pool.buckets[resource], demand[resource], now)
  const taken = {
    requests: takeFrom("requests"),
    "input-tokens": takeFrom("input-tokens"),
    "output-tokens": takeFrom("output-tokens"),
    tokens: takeFrom("tokens")
  }
  return { taken, interval }
}

/** Admits a request at once, unless it or others have to wait. */
export const tryAdmit = (pool: RateLimitPool, demand: Demand, now: number): Admission | undefined =>
  pool.queue.size === 0 && wait(pool, demand, now) === 0 ? admit(pool, demand, now) : undefined

/** Takes the requests that may start out of the queue, in their order. The caller has to resume them. */
export const admitWaiting = (pool: RateLimitPool, now: number): ReadonlyArray<Admitted> => {
  const admitted: Array<Admitted> = []
  for (let first = pool.queue.first; first !== undefined; first = pool.queue.first) {
    if (wait(pool, first.demand, now) > 0) break
    leave(pool, first)
    const admission = admit(pool, first.demand, now)
    first.admission = admission
    admitted.push({ admission, resume: first.resume })
  }
  return admitted
}

/** An admitted request is not sent in its turn. */
export const withdraw = (pool: RateLimitPool, admission: Admission, now: number): void => {
  if (admission.state !== "turn") return
  admission.state = "passed"
  pool.turns.delete(admission)
  pool.running--
  countAccepted(pool.pace, -1, now)
  if (admission.admittedAt > pool.pace.loweredAt) pool.pace.nextAt -= admission.interval
  for (const resource of resources) TokenBucket.cancel(pool.buckets[resource], admission.taken[resource], now)
}

/** Ends the turns that have lasted too long. */
export const endTurns = (pool: RateLimitPool, now: number): void => {
  for (const admission of pool.turns) {
    const elapsed = now - admission.admittedAt
    // The clock may have been set back.
    if (elapsed >= 0 && elapsed < longestTurn) return
    withdraw(pool, admission, now)
  }
}

/**
 * A request has its budget, and is sent if it still fits under the limits: they may be lower than when it was admitted, or its
 * turn may have passed. Returns whether it is sent.
 */
export const begin = (pool: RateLimitPool, admission: Admission, demand: Demand, now: number): boolean => {
  withdraw(pool, admission, now)
  endTurns(pool, now)
  if (wait(pool, demand, now) > 0) return false
  Object.assign(admission, { state: "sent", admittedAt: now, ...take(pool, demand, now) } satisfies Partial<Admission>)
  return true
}

/** The time until the next turn ends, in milliseconds. */
export const nextEndOfTurn = ({ turns }: RateLimitPool, now: number): number => {
  const [first] = turns
  return first === undefined ? Infinity : Math.max(0, first.admittedAt + longestTurn - now)
}

/** Learns the limits that the headers of a response state. */
export const learn = (pool: RateLimitPool, admission: Admission, headers: Headers, now: number): void => {
  let isUsedUp = false
  for (const resource of resources) {
    const found = statedLimit(headers, resource)
    if (found === undefined) continue
    TokenBucket.learn(pool.buckets[resource], found, admission.taken[resource], now)
    isUsedUp ||= found.remaining === 0
  }
  admission.reset = isUsedUp ? resetOf(headers) : undefined
}

/** A limit of zero could never be waited for, so it does not count. */
const statedLimit = (headers: Headers, resource: Resource): TokenBucket.StatedLimit | undefined => {
  const limit = count(headers, `anthropic-ratelimit-${resource}-limit`)
  const remaining = count(headers, `anthropic-ratelimit-${resource}-remaining`)
  return limit === undefined || limit === 0 || remaining === undefined ? undefined : { limit, remaining }
}

const count = (headers: Headers, name: string): number | undefined => {
  const text = headers.get(name)
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** When the used-up limits are full again, in epoch milliseconds; undefined when none is used up. */
const resetOf = (headers: Headers): number | undefined => {
  const times = resources.flatMap((resource) => {
    if (statedLimit(headers, resource)?.remaining !== 0) return []
    const text = headers.get(`anthropic-ratelimit-${resource}-reset`)
    const time = text === null ? Option.none() : DateTime.make(text)
    return Option.isSome(time) ? [time.value.epochMilliseconds] : []
  })
  return times.length === 0 ? undefined : Math.max(...times)
}

/** A request was answered; `usage` is undefined when the server did not count it. */
export const answered = (pool: RateLimitPool, admission: Admission, usage: Usage | undefined, now: number): void => {
  pool.running--
  settle(pool, admission, usage, now)
  // One more for every window of answers: the server asks for a slow rise.
  if (pool.window !== Infinity) pool.window += 1 / pool.window
  raise(pool.pace)
  pool.overloadedSince = undefined
}

/** Tokens from the prompt cache do not count. */
const settle = (pool: RateLimitPool, { taken }: Admission, usage: Usage | undefined, now: number): void => {
  if (usage === undefined) {
    for (const resource of tokenResources) TokenBucket.settleUnknown(pool.buckets[resource], taken[resource], now)
    return
  }
  const input = usage.inputTokens + usage.cacheWriteTokens
  TokenBucket.settle(pool.buckets["input-tokens"], taken["input-tokens"], input, now)
  TokenBucket.settle(pool.buckets["output-tokens"], taken["output-tokens"], usage.outputTokens, now)
  TokenBucket.settle(pool.buckets.tokens, taken.tokens, input + usage.outputTokens, now)
}

export const interrupted = (pool: RateLimitPool, admission: Admission, now: number): void => {
  pool.running--
  settle(pool, admission, undefined, now)
}

export const failed = (pool: RateLimitPool, admission: Admission, error: ModelError, now: number): void => {
  pool.running--
  const { usage } = error
  if (usage === undefined || usage.inputTokens + usage.outputTokens > 0) settle(pool, admission, usage, now)
  // The server counts a request that it refused, and none of its tokens.
  else
    for (const resource of tokenResources) TokenBucket.giveBack(pool.buckets[resource], admission.taken[resource], now)
  // Without a key or money, waiting does not help, and the run ends.
  if (error.reason === "Fatal") return
  if (isOverload(error)) {
    pool.overloadedSince ??= now
    return
  }
  if (error.status !== 429 && error.type !== "rate_limit_error" && error.type !== "ramp_limit_exceeded") return
  const until = error.retryAfter === undefined ? admission.reset : now + Duration.toMillis(error.retryAfter)
  // The server's clock may be wrong, so a time in the past says nothing.
  const isStated = until !== undefined && (error.retryAfter !== undefined || until > now)
  if (error.type === "ramp_limit_exceeded") {
    // Requests that were sent together are refused together, and count as one objection.
    if (admission.admittedAt >= pool.pausedUntil) pool.window = Math.max(1, Math.floor((pool.running + 1) / 2))
    pause(pool, isStated ? until : now + defaultRampPause, now)
  } else if (isStated) {
    pause(pool, until, now)
  } else {
    lower(pool.pace, admission, now)
  }
}

export const isOverload = ({ status, type }: ModelError): boolean => status === 529 || type === "overloaded_error"

const pause = (pool: RateLimitPool, until: number, now: number): void => {
  pool.pausedUntil = Math.max(pool.pausedUntil, Math.min(until, now + longestAsked))
}

/**
 * How long a request that an overloaded server refused should wait, in milliseconds: as long as the server has been answering
 * nothing but overload errors. Other requests continue at their rate.
 */
export const overloadDelay = ({ overloadedSince }: RateLimitPool, now: number): number =>
  overloadedSince === undefined ? 0 : Math.min(longestOverloadDelay, Math.max(0, now - overloadedSince))

const countAccepted = (pace: Pace, change: number, now: number): void => {
  const recent = pace.accepted * Math.exp(-Math.max(0, now - pace.at) / paceMemory)
  if (recent < 0.5) pace.countedSince = now
  pace.accepted = Math.max(0, recent + change)
  pace.at = now
}

/** Lowers the rate after a refusal without a stated limit. */
const lower = (pace: Pace, { admittedAt }: Admission, now: number): void => {
  countAccepted(pace, -1, now)
  const isNews = admittedAt > pace.loweredAt
  // The time that `accepted` covers; less than a second would turn a burst into a rate.
  const seconds = (paceMemory / 1000) * (1 - Math.exp(-Math.max(1000, now - pace.countedSince) / paceMemory))
  const lowered =
    pace.accepted >= 1 ? (paceDecrease * pace.accepted) / seconds : isNews ? Math.min(pace.rate, 2) / 2 : Infinity
  if (isNews) {
    pace.loweredAt = now
    pace.nextAt = now
  }
  if (lowered >= pace.rate) return
  pace.rate = Math.max(lowestRate, lowered)
  pace.increase = Math.max(lowestIncrease, pace.rate * paceIncrease)
  pace.nextAt = Math.max(pace.nextAt, now + 1000 / pace.rate)
}

/** Raises the rate after an answer; at most it doubles. */
const raise = (pace: Pace): void => {
  if (pace.rate !== Infinity) pace.rate += Math.min(pace.increase / pace.rate, pace.rate)
}
