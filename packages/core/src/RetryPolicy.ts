/**
 * The delay of a task before its next attempt, and whether there is one.
 *
 * A policy is a `Schedule`. After each failed attempt it is replayed over all failed attempts of the task, at the times when
 * they ended. The ledger has them, so that the delay is the same after a restart and in every process.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { ExecutionError } from "./ExecutionError.ts"
import type { Failure } from "./Outcome.ts"
import type { VerificationError } from "./VerificationError.ts"

/**
 * A schedule that decides after each failed attempt: its delay precedes the next attempt, and when it ends, the task goes to
 * the dead-letter queue. `maxAttempts` applies as well.
 *
 * **Example** (At most an hour of retries, and none after a refusal)
 *
 * ```ts
 * import type { RetryPolicy } from "@baton/core"
 * import { Schedule } from "effect"
 *
 * export const policy: RetryPolicy.RetryPolicy = Schedule.exponential("10 seconds").pipe(
 *   Schedule.setInputType<RetryPolicy.Input>(),
 *   Schedule.upTo({ duration: "1 hour" }),
 *   Schedule.while(({ input }) => input.outcome._tag !== "Rejected")
 * )
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type RetryPolicy = Schedule.Schedule<unknown, Input, unknown>

/** What a policy learns of a failed attempt. */
export interface Input {
  /** 1 for the first attempt since the task was added or last requeued. */
  readonly attempt: number
  /** Of an earlier attempt, the outcome as the ledger has it: `Rejected` with its verdict, or else `Errored`. */
  readonly outcome: Failure
}

/** A failed attempt, and when it ended in milliseconds since the epoch. */
export interface FailedAttempt extends Input {
  readonly endedAt: number
}

/**
 * Exponential with jitter (0.8 to 1.2 times): 1 s, 2 s, 4 s, ... up to `max`, which is 5 minutes by default, or `base` if
 * that is longer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const exponential = (options?: {
  readonly base?: Duration.Input | undefined
  readonly factor?: number | undefined
  readonly max?: Duration.Input | undefined
}): RetryPolicy => {
  const base = Duration.fromInputUnsafe(options?.base ?? "1 second")
  const max = options?.max ?? Duration.max(base, Duration.minutes(5))
  return Schedule.min([Schedule.exponential(base, options?.factor ?? 2), Schedule.spaced(max)]).pipe(Schedule.jittered)
}

/**
 * No delay.
 *
 * @category constructors
 * @since 0.1.0
 */
export const immediate: RetryPolicy = Schedule.spaced(Duration.zero)

/**
 * The retries of a call within an attempt, after a transient error of an executor or a verifier.
 *
 * @category models
 * @since 0.1.0
 */
export type TransientRetry = Schedule.Schedule<unknown, TransientError>

/** The errors of the calls that are retried. */
export type TransientError = ExecutionError | VerificationError

/**
 * Five retries, the first after half a second, doubling, with jitter.
 *
 * @category constructors
 * @since 0.1.0
 */
export const transient: TransientRetry = Schedule.exponential("500 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 5 })
)

/**
 * The delay after the last of these failed attempts, oldest first. None if the policy ends with one of them.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delayAfter = Effect.fnUntraced(function* (
  policy: RetryPolicy,
  failures: ReadonlyArray<FailedAttempt>
): Effect.fn.Return<Option.Option<Duration.Duration>, unknown> {
  const step = yield* Schedule.toStep(policy)
  let delay = Option.some(Duration.zero)
  for (const { attempt, endedAt, outcome } of failures) {
    delay = yield* Pull.catchDone(
      Effect.map(step(endedAt, { attempt, outcome }), ([, delay]) => Option.some(delay)),
      () => Effect.succeedNone
    )
    if (Option.isNone(delay)) break
  }
  return delay
})
