import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BreakerState, Reservation, SafetyService, Spend } from "../../Safety.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"

export const combine = (services: ReadonlyArray<SafetyService>): SafetyService => ({
  allow: Effect.forEach(services, (safety) => safety.allow, { discard: true }),
  reserve: (spend) => reserveAll(services, spend),
  recordSuccess: (unreserved) =>
    Effect.forEach(services, (safety) => safety.recordSuccess(unreserved), { discard: true }),
  recordFailure: (reason, unreserved) =>
    Effect.forEach(services, (safety) => safety.recordFailure(reason, unreserved), { discard: true }),
  recordRelease: (unreserved) =>
    Effect.forEach(services, (safety) => safety.recordRelease(unreserved), { discard: true }),
  stopReason: Effect.map(
    Effect.forEach(services, (safety) => safety.stopReason),
    Option.firstSomeOf
  ),
  awaitStop: Effect.raceAllFirst([Effect.never, ...services.map((safety) => safety.awaitStop)]),
  changes: merge(services.map((safety) => safety.changes).filter((changes) => changes !== Stream.empty))
})

// A merged stream subscribes later than it is run, so one breaker alone, which is the usual case, is not merged.
const merge = (changes: ReadonlyArray<Stream.Stream<BreakerState>>): Stream.Stream<BreakerState> => {
  const [first, ...rest] = changes
  if (first === undefined) return Stream.empty
  return rest.length === 0 ? first : Stream.mergeAll(changes, { concurrency: "unbounded" })
}

// All or nothing: what the first ones set aside is given back when a later one refuses or the wait is interrupted.
const reserveAll = Effect.fnUntraced(function* (services: ReadonlyArray<SafetyService>, spend: Spend) {
  const taken: Array<Reservation> = []
  const commit = (usage: Usage.Usage | null) =>
    Effect.forEach(taken, (reservation) => reservation.commit(usage), { discard: true })
  yield* Effect.onError(
    Effect.forEach(
      services,
      (safety): Effect.Effect<void, SafetyStop> =>
        Effect.map(safety.reserve(spend), (reservation) => void taken.push(reservation)),
      { discard: true }
    ),
    () => commit(Usage.zero)
  )
  return { commit }
}, Effect.uninterruptible)
