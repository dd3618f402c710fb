/**
 * How long a task waits before its next attempt.
 *
 * The policy is a `Schedule` that is replayed from the number of attempts the store has, so backoff goes on where it was
 * after a restart, in whatever process.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { ExecutionError } from "./ExecutionError.ts"
import type { VerificationError } from "./VerificationError.ts"

/**
 * A policy: its first delay follows attempt 1.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryPolicy = Schedule.Schedule<unknown, number>

/**
 * Exponential with jitter (0.8 to 1.2 times), capped: 1 s, 2 s, 4 s, ... up to 5 minutes unless told otherwise.
 *
 * @category constructors
 * @since 0.1.0
 */
export const exponential = (options?: {
  readonly base?: Duration.Input | undefined
  readonly factor?: number | undefined
  readonly max?: Duration.Input | undefined
}): RetryPolicy =>
  Schedule.min([
    Schedule.exponential(options?.base ?? "1 second", options?.factor ?? 2),
    Schedule.spaced(options?.max ?? "5 minutes")
  ]).pipe(Schedule.jittered)

/**
 * No waiting at all.
 *
 * @category constructors
 * @since 0.1.0
 */
export const immediate: RetryPolicy = Schedule.spaced(Duration.zero)

/**
 * When an executor or a verifier fails in passing: the delays between tries of the same attempt, and how many there are.
 *
 * @category models
 * @since 0.1.0
 */
export type TransientRetry = Schedule.Schedule<unknown, TransientError>

/** The errors of the calls that are retried. */
export type TransientError = ExecutionError | VerificationError

/**
 * Five more tries, half a second apart at first, doubling, jittered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const transient: TransientRetry = Schedule.exponential("500 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 5 })
)

/**
 * The delay that follows attempt number `attempt`. A schedule that has ended by then keeps its last delay.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delayAfter = Effect.fnUntraced(function* (
  policy: RetryPolicy,
  attempt: number
): Effect.fn.Return<Duration.Duration> {
  const step = yield* Schedule.toStep(policy)
  let delay = Duration.zero
  let elapsed = 0
  for (let replayed = 1; replayed <= attempt; replayed++) {
    const next = yield* Effect.option(step(elapsed, replayed))
    if (Option.isNone(next)) break
    delay = next.value[1]
    elapsed += Duration.toMillis(delay)
  }
  return delay
})
