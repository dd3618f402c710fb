import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { ExecutionError } from "../../ExecutionError.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { Held } from "./held.ts"
import type { Run } from "./run.ts"

type Passing = ExecutionError | VerificationError

interface Options<A, E> {
  readonly call: Effect.Effect<A, E | SafetyStop>
  readonly isTransient: (error: E) => boolean
  readonly onRetry: (reason: string, delayMillis: number) => Effect.Effect<void>
}

/**
 * Tries a call again within the same attempt when it failed in passing. The provider's `retryAfter` wins over the
 * schedule; one that is longer than we are ready to wait fails the attempt instead. Costs nothing while calls succeed.
 */
export const withTransientRetry = <A, E extends Passing>(
  run: Run,
  held: Held,
  options: Options<A, E>
): Effect.Effect<A, E | SafetyStop> =>
  Effect.catch(options.call, (error) => {
    meter(held, error)
    return error._tag !== "SafetyStop" && options.isTransient(error)
      ? retry(run, held, options, error)
      : Effect.fail(error)
  })

const meter = (held: Held, error: Passing | SafetyStop) => {
  if (error._tag !== "SafetyStop" && error.usage !== undefined) held.usage = Usage.add(held.usage, error.usage)
}

const retry = Effect.fnUntraced(function* <A, E extends Passing>(
  run: Run,
  held: Held,
  options: Options<A, E>,
  first: E
): Effect.fn.Return<A, E | SafetyStop> {
  const step = yield* Schedule.toStep(run.config.transientRetry)
  let error = first
  let unusable = 0
  while (true) {
    // A verifier that worked and came to no verdict, and does so again, would be paid for nothing once more.
    if (error.reason === "Failed" && ++unusable > 1) return yield* Effect.fail(error)
    const next = yield* Effect.option(step(run.clock.currentTimeMillisUnsafe(), error))
    const asked = error.retryAfter ?? Duration.zero
    if (Option.isNone(next) || Duration.isGreaterThan(asked, run.config.maxRetryAfter)) return yield* Effect.fail(error)
    const delay = Duration.max(next.value[1], asked)
    yield* options.onRetry(error.message, Duration.toMillis(delay))
    yield* Effect.sleep(delay)
    const result = yield* Effect.result(options.call)
    if (result._tag === "Success") return result.success
    const failure = result.failure
    meter(held, failure)
    if (failure._tag === "SafetyStop" || !options.isTransient(failure)) return yield* Effect.fail(failure)
    error = failure
  }
})
