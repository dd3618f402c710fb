import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { AttemptContext } from "../../AttemptContext.ts"
import type { Event } from "../../Event.ts"
import type { ClaimedTask } from "./claims.ts"
import { ofAttempt, type RunParts } from "./parts.ts"

/** A task's progress is published this often at most. */
const interval = Duration.millis(500)

/** Longer texts are cut. */
const maxText = 500

interface Reported {
  readonly text: string | null
  readonly fraction: number | null
}

/** Publishes the progress of attempts: of several reports within the interval, the latest. */
export interface ProgressReports {
  readonly of: (claimed: ClaimedTask) => AttemptContext["progress"]
  readonly loop: Effect.Effect<never>
}

export const make = (parts: RunParts): ProgressReports => {
  const pending = new Map<ClaimedTask, Reported>()
  const nonEmpty = Latch.makeUnsafe(false)

  const publish = Effect.suspend(() => {
    nonEmpty.closeUnsafe()
    const events: Array<Event> = []
    for (const [claimed, reported] of pending) {
      if (isRunning(claimed)) {
        events.push({ _tag: "TaskProgress", ...ofAttempt(parts, claimed.claim.task), ...reported })
      }
    }
    pending.clear()
    return events.length === 0 ? Effect.void : parts.events.publishAll(events)
  })

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
    loop: Effect.forever(nonEmpty.await.pipe(Effect.andThen(publish), Effect.andThen(Effect.sleep(interval))))
  }
}

const isRunning = ({ abortReason, phase }: ClaimedTask): boolean => phase === "working" && abortReason === undefined
