import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BreakerState, Limits, Reservation, Spend } from "../../Safety.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import * as Usage from "../../Usage.ts"
import { narrowed } from "./share.ts"

export const combine = (limits: ReadonlyArray<Limits>): Limits => ({
  allow: Effect.forEach(limits, (limit) => limit.allow, { discard: true }),
  reserve: (spend) => reserveAll(limits, spend),
  recordSuccess: (unreserved) => Effect.forEach(limits, (limit) => limit.recordSuccess(unreserved), { discard: true }),
  recordFailure: (reason, unreserved) =>
    Effect.forEach(limits, (limit) => limit.recordFailure(reason, unreserved), { discard: true }),
  recordRelease: (unreserved) => Effect.forEach(limits, (limit) => limit.recordRelease(unreserved), { discard: true }),
  stopReason: Effect.map(
    Effect.forEach(limits, (limit) => limit.stopReason),
    Option.firstSomeOf
  ),
  refusal: Effect.map(
    Effect.forEach(limits, (limit) => limit.refusal),
    Option.firstSomeOf
  ),
  awaitStop: Effect.raceAllFirst([Effect.never, ...limits.map((limit) => limit.awaitStop)]),
  changes: merge(limits.map((limit) => limit.changes).filter((changes) => changes !== Stream.empty))
})

// A merged stream subscribes some time after it is run. So a single breaker, the usual case, is not merged.
const merge = (changes: ReadonlyArray<Stream.Stream<BreakerState>>): Stream.Stream<BreakerState> => {
  const [first, ...rest] = changes
  if (first === undefined) return Stream.empty
  return rest.length === 0 ? first : Stream.mergeAll(changes, { concurrency: "unbounded" })
}

// All or nothing: the first reservations are freed when a later one is refused or its wait is interrupted.
const reserveAll = Effect.fnUntraced(function* (limits: ReadonlyArray<Limits>, spend: Spend) {
  const taken: Array<Reservation> = []
  let wanted = spend
  const commit = (usage: Usage.Usage | undefined) =>
    Effect.forEach(taken, (reservation) => reservation.commit(usage), { discard: true })
  yield* Effect.onError(
    Effect.forEach(
      limits,
      (limit): Effect.Effect<void, SafetyStop> =>
        Effect.map(limit.reserve(wanted), (reservation) => {
          wanted = narrowed(wanted, reservation)
          taken.push(reservation)
        }),
      { discard: true }
    ),
    () => commit(Usage.zero)
  )
  return { commit, granted: { costUsd: wanted.costUsd, tokens: wanted.tokens } }
}, Effect.uninterruptible)
