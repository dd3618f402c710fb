/**
 * Logs important events and the progress of a run, for programs that read standard error. Messages are constant, with
 * details as annotations. Task texts and feedback are never logged.
 */
import type { Event } from "@baton/core/Event"
import type { Counts } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Display } from "./Display.ts"
import { Progress } from "./Progress.ts"
import type { RunSummary } from "./summary.ts"

/** The interval of progress messages. */
const interval = "30 seconds"

/** Creates a display that logs until its scope closes. */
export const make = Effect.fnUntraced(function* (
  options: { readonly quiet: boolean },
  counts: Counts
): Effect.fn.Return<Display, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const progress = new Progress(counts, clock.currentTimeMillisUnsafe())
  const logProgress = Effect.suspend(() =>
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
  if (!options.quiet) yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(interval), logProgress)))
  return {
    progress,
    hook: (event) =>
      Effect.andThen(
        ofEvent(event),
        Effect.sync(() => progress.on(event))
      ),
    // Written directly, because the logger writes complete lines.
    line: (text) => process.stderr.write(`${text}\n`),
    flush: Effect.void,
    listen: () => Effect.void
  }
})

const ofEvent = (event: Event): Effect.Effect<void> => {
  switch (event._tag) {
    case "TaskFailed":
      return warn("A task failed", { taskId: event.taskId, attempt: event.attempt })
    case "TaskInReview":
      return info("A task waits for review", { taskId: event.taskId, attempt: event.attempt })
    case "TaskCancelled":
      return info("A task was cancelled", { taskId: event.taskId, attempt: event.attempt })
    case "LeaseLost":
      return warn("A task was taken over by another worker", { taskId: event.taskId, attempt: event.attempt })
    case "LeaseReclaimed":
      return warn("The worker of a task stopped responding", {
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
      return warn("The store is unavailable", { reason: event.reason })
    case "RunStarted":
      return info("The run has started", { owner: event.owner })
    case "QueuePaused":
      return warn("A queue is paused", {
        queue: event.queue,
        cause: event.cause,
        until: event.until === undefined ? null : DateTime.formatIso(event.until),
        reason: event.reason
      })
    case "QueueResumed":
      return info("A queue has resumed", { queue: event.queue })
    case "ConcurrencyChanged":
      return info("The concurrency was changed", { concurrency: event.concurrency })
    case "Paused":
      return info("The run is paused", {})
    case "Resumed":
      return info("The run has resumed", {})
    case "Draining":
      return info("The run is draining", { reason: event.reason })
    default:
      return Effect.void
  }
}

const info = (message: string, about: Record<string, unknown>) =>
  Effect.logInfo(message).pipe(Effect.annotateLogs(about))
const warn = (message: string, about: Record<string, unknown>) =>
  Effect.logWarning(message).pipe(Effect.annotateLogs(about))

/** Logs the result of a run. */
export const logEnd = ({ counts, exitCode, reason, stats }: RunSummary): Effect.Effect<void> =>
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
