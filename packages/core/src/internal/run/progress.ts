import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { AttemptContext } from "../../AttemptContext.ts"
import type { Event } from "../../Event.ts"
import type { AttemptProgress } from "../../AttemptProgress.ts"
import type { Progress } from "../../TaskStore.ts"
import type { ClaimedTask } from "./claims.ts"
import { now, ofAttempt, type RunParts } from "./parts.ts"

/** A task's progress is published this often at most. */
const interval = Duration.millis(500)

/** The store gets it this often at most. */
const saveInterval = Duration.seconds(2)

/** Longer texts are cut. */
const maxText = 500

/** Publishes the progress of attempts: of several reports within the interval, the latest. */
export interface ProgressReports {
  readonly of: (claimed: ClaimedTask) => AttemptContext["progress"]
  readonly loops: ReadonlyArray<Effect.Effect<never>>
}

export const make = (parts: RunParts): ProgressReports => {
  const { progress: stored } = parts.store
  const pending = new Map<ClaimedTask, Omit<AttemptProgress, "at">>()
  const nonEmpty = Latch.makeUnsafe(false)
  const unsaved = new Map<ClaimedTask, AttemptProgress>()
  const hasUnsaved = Latch.makeUnsafe(false)

  const publish = Effect.suspend(() => {
    nonEmpty.closeUnsafe()
    const events: Array<Event> = []
    for (const [claimed, reported] of pending) {
      if (isRunning(claimed)) {
        events.push({ _tag: "TaskProgress", ...ofAttempt(parts, claimed.claim.task), ...reported })
      }
    }
    if (stored !== undefined) {
      for (const [claimed, reported] of pending) unsaved.set(claimed, { ...reported, at: now(parts) })
      hasUnsaved.openUnsafe()
    }
    pending.clear()
    return events.length === 0 ? Effect.void : parts.events.publishAll(events)
  })

  /** For other processes. A store that does not answer is noticed by writes that matter more. */
  const save = (store: Progress) =>
    Effect.suspend(() => {
      hasUnsaved.closeUnsafe()
      const reports = Array.from(unsaved).flatMap(([claimed, reported]) =>
        isRunning(claimed) ? [{ taskId: claimed.claim.task.id, token: claimed.claim.token, ...reported }] : []
      )
      unsaved.clear()
      return Effect.catch(store.save(reports), (error) =>
        Effect.annotateLogs(Effect.logDebug("The progress of attempts was not saved", error.message), {
          module: "TaskStore"
        })
      )
    })

  /** Acts on the gathered reports, and again after the interval. */
  const repeated = (gathered: Latch.Latch, act: Effect.Effect<void>, every: Duration.Duration) =>
    Effect.forever(gathered.await.pipe(Effect.andThen(act), Effect.andThen(Effect.sleep(every))))

  return {
    of: (claimed) => {
      let text: string | null = null
      let fraction: number | null = null
      return (progress) =>
        Effect.sync(() => {
          // A fiber that the executor left behind may report for longer than the attempt lasts.
          if (!isRunning(claimed) || Number.isNaN(progress)) return
          if (typeof progress === "string") text = parts.redact(progress).slice(0, maxText).toWellFormed()
          else fraction = Math.min(1, Math.max(0, progress))
          pending.set(claimed, { text, fraction })
          nonEmpty.openUnsafe()
        })
    },
    loops: [
      repeated(nonEmpty, publish, interval),
      ...(stored === undefined ? [] : [repeated(hasUnsaved, save(stored), saveInterval)])
    ]
  }
}

const isRunning = ({ abortReason, phase }: ClaimedTask): boolean => phase === "working" && abortReason === undefined
