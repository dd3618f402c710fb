/**
 * Tells of a run in the log, for machines that read standard error: what is worth knowing, and how far it is now and then.
 * Messages are constant and what they are about is in their annotations; what a task says, or is told, is in neither.
 */
import type { Event } from "@baton/core/Event"
import type { Counts } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Display } from "./Display.ts"
import { Progress } from "./Progress.ts"
import type { RunReport } from "./summary.ts"

/** Often enough to see that a run is alive, seldom enough not to fill the log of a night. */
const interval = "30 seconds"

/** A display that logs until its scope ends. */
export const make = Effect.fnUntraced(function* (
  options: { readonly quiet: boolean },
  counts: Counts
): Effect.fn.Return<Display, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const progress = new Progress(counts, clock.currentTimeMillisUnsafe())
  const tell = Effect.suspend(() =>
    progress.ended === undefined
      ? Effect.logInfo("Progress").pipe(
          Effect.annotateLogs({
            completed: progress.completed,
            failed: progress.failed,
            running: progress.running.size,
            total: progress.total
          })
        )
      : Effect.void
  )
  if (!options.quiet) yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(interval), tell)))
  return {
    progress,
    hook: (event) =>
      Effect.andThen(
        ofEvent(event),
        Effect.sync(() => progress.on(event))
      ),
    // What the logger writes is a line of its own already.
    line: (text) => process.stderr.write(`${text}\n`),
    flush: Effect.void,
    listen: () => Effect.void
  }
})

const ofEvent = (event: Event): Effect.Effect<void> => {
  switch (event._tag) {
    case "TaskFailed":
      return warn("A task failed", { taskId: event.taskId, attempt: event.attempt })
    case "TaskCancelled":
      return info("A task was cancelled", { taskId: event.taskId, attempt: event.attempt })
    case "LeaseLost":
      return warn("A task was taken over by another worker", { taskId: event.taskId, attempt: event.attempt })
    case "LeaseReclaimed":
      return warn("The worker of a task stopped answering", {
        taskId: event.taskId,
        attempt: event.attempt,
        worker: event.owner,
        status: event.status
      })
    case "CircuitOpened":
    case "CircuitHalfOpened":
    case "CircuitClosed":
      return warn("The circuit breaker changed", { state: event._tag.slice("Circuit".length) })
    case "StoreUnavailable":
      return warn("The store does not answer", { reason: event.reason })
    case "RunStarted":
      return info("The run has started", { owner: event.owner })
    case "Paused":
      return info("The run is paused", {})
    case "Resumed":
      return info("The run goes on", {})
    case "Draining":
      return info("The run takes no new work", { reason: event.reason })
    default:
      return Effect.void
  }
}

const info = (message: string, about: Record<string, unknown>) =>
  Effect.logInfo(message).pipe(Effect.annotateLogs(about))
const warn = (message: string, about: Record<string, unknown>) =>
  Effect.logWarning(message).pipe(Effect.annotateLogs(about))

/** Logs how a run ended. */
export const logEnd = ({ counts, exitCode, reason, stats }: RunReport): Effect.Effect<void> =>
  Effect.logInfo("The run has ended").pipe(
    Effect.annotateLogs({
      exitCode,
      reason: reason._tag,
      completed: counts.completed,
      failed: counts.failed,
      pending: counts.pending,
      attempts: stats.executions,
      seconds: stats.elapsedSeconds,
      costUsd: stats.usage?.costUsd ?? null
    })
  )
