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

/** The end of an output that is published. */
const maxOutput = 1000

/** Secrets are replaced in a longer part, because the end can begin within one. */
const redactedOutput = 4 * maxOutput

/** Publishes the progress of attempts: of several reports within the interval, the latest. */
export interface ProgressReports {
  readonly of: (claimed: ClaimedTask) => AttemptContext["progress"]
  readonly loops: ReadonlyArray<Effect.Effect<never>>
}

export const make = (parts: RunParts): ProgressReports => {
  const { progress: stored } = parts.store
  const pending = new Map<ClaimedTask, Omit<AttemptProgress, "at">>()
  const partOf = (output: string) => endOf(output, parts.redact)
  const nonEmpty = Latch.makeUnsafe(false)
  const unsaved = new Map<ClaimedTask, AttemptProgress>()
  const hasUnsaved = Latch.makeUnsafe(false)

  const publish = Effect.suspend(() => {
    nonEmpty.closeUnsafe()
    const events: Array<Event> = []
    for (const [claimed, latest] of pending) {
      if (!isRunning(claimed)) continue
      const reported = { ...latest, output: latest.output === undefined ? undefined : partOf(latest.output) }
      events.push({ _tag: "TaskProgress", ...ofAttempt(parts, claimed.claim.task), ...reported })
      if (stored !== undefined) unsaved.set(claimed, { ...reported, at: now(parts) })
    }
    if (unsaved.size > 0) hasUnsaved.openUnsafe()
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
      let text: string | undefined
      let fraction: number | undefined
      let output: string | undefined
      return (report) =>
        Effect.sync(() => {
          // A fiber that the executor left behind may report for longer than the attempt lasts.
          if (!isRunning(claimed) || Number.isNaN(report)) return
          if (typeof report === "string") text = parts.redact(report).slice(0, maxText).toWellFormed()
          else if (typeof report === "number") fraction = Math.min(1, Math.max(0, report))
          else output = report.output
          pending.set(claimed, { text, fraction, output })
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

/** The end of an unfinished output. Words that are cut are left out, because half a secret is not recognised as one. */
const endOf = (output: string, redact: (text: string) => string): string => {
  const end = output.slice(-redactedOutput)
  const whole = (end.length < output.length ? end.replace(/^[!-~]+/, "") : end).replace(/[!-~]+$/, "")
  return redact(whole).slice(-maxOutput).toWellFormed()
}
