/**
 * The pause of a queue: no worker claims from it, in whatever process the worker is.
 *
 * A store keeps a pause until it ends, over restarts. A pause that was requested ends at its time, or when the queue is
 * resumed. A pause for a usage limit ends in two steps: at its time, one task may start, the probe. The others follow once
 * the probe was not refused.
 *
 * @since 0.2.0
 */
import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"

/** @since 0.2.0 */
export const PauseCause = Schema.Literals(["requested", "usage-limit"])

/** @since 0.2.0 */
export type PauseCause = typeof PauseCause.Type

/**
 * The pause of a queue.
 *
 * @category models
 * @since 0.2.0
 */
export const QueuePause = Schema.Struct({
  queue: Schema.String,
  cause: PauseCause,
  /** Absent: until the queue is resumed. */
  until: optionalNullOr(Schema.DateTimeUtcFromString),
  /** Until then, a probe that was started holds back the other tasks. Absent when none was started. */
  probeUntil: optionalNullOr(Schema.DateTimeUtcFromString),
  /** For a person. */
  reason: Schema.String,
  /** Identifies the pause. A queue that is paused again has a greater one. */
  revision: Schema.Int
})

/** @since 0.2.0 */
export interface QueuePause extends Schema.Schema.Type<typeof QueuePause> {}

/** What decides about claims, in epoch milliseconds, as a driver keeps it. */
export interface PauseTimes {
  readonly cause: PauseCause
  readonly until: number | null
  readonly probeUntil: number | null
}

/**
 * When tasks of the queue may be claimed again; `Infinity` when it has to be resumed.
 *
 * @category getters
 * @since 0.2.0
 */
export const endOf = ({ probeUntil, until }: PauseTimes): number =>
  until === null ? Infinity : Math.max(until, probeUntil ?? -Infinity)

/**
 * What a claim takes from a queue with this pause:
 *
 * - `nothing`: the queue is paused, or its probe is under way
 * - `probe`: one task, the probe
 * - `all`: the pause is over
 *
 * @category combinators
 * @since 0.2.0
 */
export const claimable = (pause: PauseTimes, now: number): "nothing" | "probe" | "all" => {
  if (endOf(pause) > now) return "nothing"
  return pause.cause === "usage-limit" ? "probe" : "all"
}

/**
 * The pause after a request, or after a report of a usage limit. A request replaces the present pause. A limit ends at the latest
 * time that was reported, and leaves a request in place that lasts longer.
 *
 * @category combinators
 * @since 0.2.0
 */
export const after = <Before extends PauseTimes, Change extends Omit<PauseTimes, "probeUntil">>(
  before: Before | undefined,
  change: Change
): Before | (Change & { readonly probeUntil: null }) => {
  const changed = { ...change, probeUntil: null }
  if (before === undefined || change.cause === "requested") return changed
  const isLonger = (before.until ?? Infinity) > (change.until ?? Infinity)
  if (before.cause === "requested") return isLonger ? before : changed
  return isLonger ? { ...changed, until: before.until } : changed
}

/**
 * The times of a pause.
 *
 * @category getters
 * @since 0.2.0
 */
export const timesOf = ({ cause, probeUntil, until }: QueuePause): PauseTimes => ({
  cause,
  until: millis(until),
  probeUntil: millis(probeUntil)
})

const millis = (time: DateTime.Utc | undefined) => time?.epochMilliseconds ?? null
