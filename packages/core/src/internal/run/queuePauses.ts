import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ExecutionError } from "../../ExecutionError.ts"
import type * as Outcome from "../../Outcome.ts"
import type { QueuePause } from "../../QueuePause.ts"
import { SafetyStop } from "../../SafetyStop.ts"
import type { Pauses } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { ClaimedTask } from "./claims.ts"
import { now, type RunParts, type StopSignal } from "./parts.ts"
import type { Settler } from "./settler.ts"
import { storeCall } from "./storeCall.ts"

/** Pauses the queues of a run for usage limits, and follows the pauses that others make. */
export interface QueuePauses {
  /**
   * Pauses the queue of an attempt that met a usage limit, for all workers, or ends the run. Resumes the queue after a probe
   * that was not refused. Settle the attempt after this: its task must not be claimed again before the queue is paused.
   */
  readonly onOutcome: (claimed: ClaimedTask, outcome: Outcome.Outcome) => Effect.Effect<void>
  /** Reads the pauses of the run's queues. */
  readonly refresh: Effect.Effect<void, TaskStoreError>
}

/** How long a limit lasts that does not say when it ends. */
const unstated = Duration.minutes(5)

/** The shortest pause: when the other side's clock is behind, it refuses the probe and names a time that has passed. */
const shortest = Duration.seconds(10)

/** When a usage limit ends. */
export const limitEnd = (
  { clock }: Pick<RunParts, "clock">,
  { retryAfter = unstated, retryAt }: ExecutionError | VerificationError
): DateTime.Utc => {
  const current = DateTime.makeUnsafe(clock.currentTimeMillisUnsafe())
  const end = retryAt ?? DateTime.addDuration(current, retryAfter)
  return DateTime.max(end, DateTime.addDuration(current, shortest))
}

interface Known extends QueuePause {
  /** When this run learned of it. */
  readonly at: number
}

export const make = (
  parts: RunParts,
  { settler, stop }: { readonly settler: Pick<Settler, "releaseUnstarted">; readonly stop: StopSignal }
): QueuePauses => {
  const { clock, config, events, store } = parts
  const known = new Map<string, Known>()

  const note = Effect.fnUntraced(function* (pause: QueuePause) {
    const { cause, queue, reason, until } = pause
    const before = known.get(queue)
    known.set(queue, { ...pause, at: clock.currentTimeMillisUnsafe() })
    // A probe that is started changes the pause too.
    if (before?.cause === cause && before.until?.epochMilliseconds === until?.epochMilliseconds) return
    yield* events.publish({ _tag: "QueuePaused", at: now(parts), queue, cause, until, reason })
    yield* settler.releaseUnstarted("queue-paused", queue)
  })

  const forget = (queue: string): Effect.Effect<void> =>
    Effect.suspend(() =>
      known.delete(queue) ? events.publish({ _tag: "QueueResumed", at: now(parts), queue }) : Effect.void
    )

  const refresh = (pauses: Pauses) =>
    Effect.flatMap(
      storeCall(parts, "pauses", pauses.list),
      Effect.fnUntraced(function* (all: ReadonlyArray<QueuePause>) {
        const ours = new Map(all.flatMap((each) => (config.queues.includes(each.queue) ? [[each.queue, each]] : [])))
        for (const queue of Array.from(known.keys())) if (!ours.has(queue)) yield* forget(queue)
        for (const pause of ours.values()) yield* note(pause)
      })
    )

  /** Tasks that ran side by side meet the limit side by side: the first of them pauses the queue for the others. */
  const isPausedFor = ({ claim: { task }, claimedAt }: ClaimedTask, until: DateTime.Utc): boolean => {
    const pause = known.get(task.queue)
    if (pause === undefined || pause.at < claimedAt) return false
    return pause.until === undefined || DateTime.isGreaterThanOrEqualTo(pause.until, until)
  }

  const pauseUntil = (pauses: Pauses, claimed: ClaimedTask, until: DateTime.Utc, reason: string) => {
    if (isPausedFor(claimed, until)) return Effect.void
    const pausing = pauses.pause(claimed.claim.task.queue, { cause: "usage-limit", until, reason })
    return Effect.flatMap(storeCall(parts, "pause", pausing), note)
  }

  const endRun = (until: DateTime.Utc, reason: string) =>
    Effect.sync(() =>
      stop.limitReached(
        new SafetyStop({
          limit: "usage",
          message: `${reason} Run this again after ${DateTime.formatIso(until)}, or let the run wait.`
        })
      )
    )

  /** Resumes the queue of a probe that was not refused. */
  const confirm = (pauses: Pauses, { claim: { probes, task } }: ClaimedTask) =>
    Effect.flatMap(storeCall(parts, "resume", pauses.resume(task.queue, { revision: probes })), (isResumed) =>
      isResumed ? forget(task.queue) : Effect.void
    )

  const act = (claimed: ClaimedTask, outcome: Outcome.Outcome): Effect.Effect<void, TaskStoreError> => {
    const { pauses } = store
    if (outcome._tag === "Released" && outcome.usageLimitUntil !== undefined) {
      return pauses === undefined || config.onUsageLimit === "stop"
        ? endRun(outcome.usageLimitUntil, outcome.reason)
        : pauseUntil(pauses, claimed, outcome.usageLimitUntil, outcome.reason)
    }
    return pauses !== undefined && claimed.claim.probes !== undefined && isAnswer(outcome)
      ? confirm(pauses, claimed)
      : Effect.void
  }

  return {
    onOutcome: (claimed, outcome) =>
      Effect.catch(act(claimed, outcome), (error) => Effect.sync(() => stop.fail(error))),
    refresh: store.pauses === undefined ? Effect.void : refresh(store.pauses)
  }
}

/** Whether the executor or the verifier did its work: a broken connection or a timeout says nothing about a limit. */
const isAnswer = (outcome: Outcome.Outcome): boolean => {
  switch (outcome._tag) {
    case "InReview":
    case "Accepted":
    case "Rejected":
      return true
    case "Errored":
    case "Unverifiable":
      return outcome.error.reason === "Failed" || outcome.error.reason === "Permanent"
    case "Released":
    case "Lost":
      return false
  }
}
