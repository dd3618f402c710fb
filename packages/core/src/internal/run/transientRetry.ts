import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import type { ExecutionError } from "../../ExecutionError.ts"
import type { Resolved } from "../../OrchestratorConfig.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { ClaimedTask } from "./claims.ts"

type CallError = ExecutionError | VerificationError

type Settings = Pick<Resolved, "transientRetry" | "maxRetryAfter">

/** How a kind of call is retried. */
export interface Retrying<E> extends Settings {
  readonly isTransient: (error: E) => boolean
  /** Called with the error of each call, before the retry that may follow. */
  readonly onError: (claimed: ClaimedTask, error: E | SafetyStop) => void
  readonly onRetry: (claimed: ClaimedTask, reason: string, delayMillis: number) => Effect.Effect<void>
}

/** Retries a call within the same attempt after a transient error. Costs nothing while calls succeed. */
export const withTransientRetry = <A, E extends CallError>(
  claimed: ClaimedTask,
  call: Effect.Effect<A, E | SafetyStop>,
  retrying: Retrying<E>
): Effect.Effect<A, E | SafetyStop> =>
  Effect.catch(call, (error) => {
    retrying.onError(claimed, error)
    return isTransient(retrying, error) ? retry(claimed, call, retrying, error) : Effect.fail<E | SafetyStop>(error)
  })

const isTransient = <E extends CallError>(retrying: Retrying<E>, error: E | SafetyStop): error is E =>
  error._tag !== "SafetyStop" && retrying.isTransient(error)

const retry = <A, E extends CallError>(
  claimed: ClaimedTask,
  call: Effect.Effect<A, E | SafetyStop>,
  retrying: Retrying<E>,
  first: E
): Effect.Effect<A, E | SafetyStop> =>
  Effect.suspend(() => {
    let isFirst = true
    // Fails with transient errors alone. Every other result is returned, so that it ends the retries.
    const calls = Effect.suspend((): Effect.Effect<Effect.Effect<A, E | SafetyStop>, E> => {
      // `Effect.retry` costs 1.2 µs per call even when nothing fails, so it starts with the failure of the call before.
      if (isFirst) {
        isFirst = false
        return Effect.fail(first)
      }
      return Effect.matchEffect(call, {
        onSuccess: (value) => Effect.succeed(Effect.succeed(value)),
        onFailure: (error) => {
          retrying.onError(claimed, error)
          return isTransient(retrying, error) ? Effect.fail(error) : Effect.succeed(Effect.fail<E | SafetyStop>(error))
        }
      })
    })
    return Effect.flatMap(Effect.retry(calls, transientSchedule(claimed, retrying)), identity)
  })

/**
 * The configured schedule, delayed by at least the `retryAfter` of the error. Ends when that is longer than allowed, and
 * when a verifier without a verdict fails a second time, because each of its calls is paid for.
 */
const transientSchedule = <E extends CallError>(
  claimed: ClaimedTask,
  { maxRetryAfter, onRetry, transientRetry }: Retrying<E>
) => {
  let withoutVerdict = 0
  return transientRetry.pipe(
    Schedule.while(({ input }) => {
      if (input.reason === "Failed" && ++withoutVerdict > 1) return false
      return input.retryAfter === undefined || Duration.isLessThanOrEqualTo(input.retryAfter, maxRetryAfter)
    }),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.succeed(input.retryAfter === undefined ? duration : Duration.max(duration, input.retryAfter))
    ),
    Schedule.tap(({ duration, input }) => onRetry(claimed, input.message, Duration.toMillis(duration)))
  )
}
