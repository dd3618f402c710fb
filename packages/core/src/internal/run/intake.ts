import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Claims } from "./claims.ts"
import type { Control } from "./control.ts"
import type { Heartbeat } from "./heartbeat.ts"
import type { RunParts, StopSignal } from "./parts.ts"
import { counts, storeCall } from "./storeCall.ts"

/** Other processes may not be able to make their decisions known. */
const reviewPollMillis = 1_000

/** What claiming works with. */
export interface IntakeParts {
  readonly claims: Claims
  readonly control: Pick<Control, "awaitActive">
  readonly heartbeat: Pick<Heartbeat, "sweep">
  readonly stop: StopSignal
}

/**
 * Claims tasks for the free workers, and ahead of them while tasks are short. Ends the run when nothing is left, if it is to
 * run until then.
 */
export const loop = (
  parts: RunParts,
  { claims, control, heartbeat, stop }: IntakeParts,
  options: { readonly untilDrained: boolean }
): Effect.Effect<void> => {
  const { clock, config, owner, safety, store } = parts
  const { maxPerKey, queues } = config

  // Uninterruptible: a task that was claimed and not noted would stay leased until its lease ends.
  const claim = (limit: number) => {
    const { add, started } = claims.begin()
    return storeCall(
      parts,
      "claim",
      Effect.uninterruptible(
        Effect.map(
          store.claim({ queues, limit, owner, lease: config.leaseDuration, maxPerKey, started }),
          (claimed) => {
            add(claimed)
            return claimed.length
          }
        )
      )
    )
  }

  /** The limit that keeps the remaining tasks from starting. Waiting for their retries would be in vain. */
  const limitInTheWay = Effect.gen(function* () {
    const refusal = yield* safety.refusal
    if (Option.isNone(refusal) || !options.untilDrained) return refusal
    const { pending, waiting } = yield* counts(parts)
    return pending > waiting ? refusal : Option.none()
  })

  /**
   * How many more tasks may be claimed while people have not decided about those in review. Infinite when there is nothing
   * to claim, so that a run that is to end does.
   */
  const reviewRoom = Effect.gen(function* () {
    const { maxInReview = Infinity } = config
    const { in_progress, in_review, pending, waiting } = yield* counts(parts)
    return pending > waiting ? maxInReview - in_review - in_progress : Infinity
  })

  /** Returns once people have decided about tasks in review, or a task in progress has ended without a review. */
  const awaitReviews = Effect.gen(function* () {
    while (true) {
      // Before the counts are read, so that no change after them is missed.
      const seen = yield* store.awaitChange(-1)
      const room = yield* reviewRoom
      if (room > 0) return room
      yield* Effect.raceFirst(store.awaitChange(seen), Effect.sleep(reviewPollMillis))
    }
  })

  const nextSignal = Effect.suspend(() => {
    const work = storeCall(parts, "awaitWork", store.awaitWork({ ...options, queues, maxPerKey }), { isWait: true })
    if (claims.size() === 0) return work
    // The last settlement can be the one after which a limit is in the way.
    return Effect.raceFirst(work, Effect.as(claims.awaitEmpty, "settled" as const))
  })

  return Effect.gen(function* () {
    let fruitless = 0
    while (true) {
      yield* control.awaitActive
      const room = claims.room()
      if (room === 0) {
        yield* claims.awaitWakeUp
        continue
      }
      const inReview = config.maxInReview === undefined ? Infinity : yield* awaitReviews
      // When there is nothing to claim, the lease of a dead worker may have just ended.
      if ((yield* claim(Math.min(room, inReview))) > 0 || (yield* heartbeat.sweep) > 0) {
        fruitless = 0
        continue
      }
      // A store may report work that another worker takes first; that must not make this loop spin.
      if (fruitless > 1) yield* Effect.sleep(Math.min(2 ** fruitless, 500))
      fruitless++
      const limit = claims.size() === 0 ? yield* limitInTheWay : Option.none()
      if (Option.isSome(limit)) return stop.limitReached(limit.value)
      const before = clock.currentTimeMillisUnsafe()
      const signal = yield* nextSignal
      if (signal === "settled" || clock.currentTimeMillisUnsafe() > before) fruitless = 0
      if (signal !== "drained") continue
      // The tasks of this run can come back to be retried, or make others claimable.
      if (claims.size() > 0) {
        yield* claims.awaitEmpty
        continue
      }
      const { waiting } = yield* counts(parts)
      return stop.request({ _tag: "Drained", waiting })
    }
  }).pipe(Effect.catch((error) => Effect.sync(() => stop.fail(error))))
}
