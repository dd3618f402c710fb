import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import { ExecutionError } from "../../ExecutionError.ts"
import * as Outcome from "../../Outcome.ts"
import type { Stats } from "../../Stats.ts"
import * as Usage from "../../Usage.ts"
import * as logAnnotations from "../logAnnotations.ts"
import type { Attempts } from "./attempts.ts"
import type { ClaimedTask, Claims } from "./claims.ts"
import type { Concurrency } from "./concurrency.ts"
import type { Control } from "./control.ts"
import type { Heartbeat } from "./heartbeat.ts"
import type { RunParts, StopSignal } from "./parts.ts"
import type { QueuePauses } from "./queuePauses.ts"
import type { Settler } from "./settler.ts"
import * as traces from "./traces.ts"

/** Take claimed tasks and carry out their attempts, one after the other per worker. */
export interface Workers {
  /** How many workers work on a task. */
  readonly busy: () => number
  readonly stats: () => Pick<Stats, "usage">
  readonly loop: Effect.Effect<never>
}

/** What workers work with. */
export interface WorkerParts {
  readonly attempts: Attempts
  readonly claims: Claims
  readonly concurrency: Concurrency
  readonly control: Pick<Control, "isPaused">
  readonly heartbeat: Pick<Heartbeat, "refresh">
  readonly pauses: Pick<QueuePauses, "onOutcome">
  readonly settler: Pick<Settler, "drop" | "returning" | "settle">
  readonly stop: StopSignal
}

export const make = (
  parts: RunParts,
  { attempts, claims, concurrency, control, heartbeat, pauses, settler, stop }: WorkerParts
): Workers => {
  const pauseMillis = Duration.toMillis(parts.config.pauseBetweenTasks)
  const tracing = traces.make(parts)
  let busy = 0
  let usage: Usage.Usage | undefined

  /** Why a task that was just taken is not started. */
  const reasonNotToStart = (index: number): string | undefined => {
    if (index >= concurrency.current()) return "the concurrency of the run was lowered before it was started"
    if (control.isPaused()) return "the run was paused before it was started"
    // Another worker has met what ends the run, a bad key for instance: this one would only meet it again.
    return stop.isRequested() ? "the run ended before it was started" : undefined
  }

  const work = (index: number) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber<never>((fiber) =>
        Effect.gen(function* () {
          const { context } = fiber
          const annotations = fiber.getRef(References.CurrentLogAnnotations)
          let isAborted = false
          while (true) {
            if (index >= concurrency.current()) yield* restore(concurrency.awaitAbove(index))
            // Without a step of the runtime while there are tasks. A fiber that was interrupted with its task ends here.
            const claimed: ClaimedTask = (isAborted ? undefined : claims.takeNow()) ?? (yield* restore(claims.take))
            claims.onTaken(claimed)
            // Lost or cancelled while it was queued.
            if (claimed.abortReason !== undefined) {
              claims.remove(claimed)
              claims.onFree(claimed)
              continue
            }
            const reason = reasonNotToStart(index)
            if (reason !== undefined) {
              settler.settle(claimed, { _tag: "Released", reason })
              claims.onFree(claimed)
              continue
            }
            claimed.assign(fiber)
            // Work that would not be accepted is not started.
            const refreshing = heartbeat.refresh(claimed)
            if (refreshing !== undefined) yield* Effect.exit(restore(refreshing))
            const returning = settler.returning(claimed.claim.task.id)
            if (returning !== undefined) yield* Effect.exit(restore(returning))
            busy++
            // Once for the executor and the verifier, and without `provideService`, which allocates several closures for each task.
            // The context is always reset: all failures are caught, and the worker cannot be interrupted outside of `restore`.
            const ofAttempt = logAnnotations.ofAttempt(claimed.claim.task, annotations)
            fiber.setContext(Context.add(context, References.CurrentLogAnnotations, ofAttempt))
            const attempt = Effect.catchCause(attempts.attempt(claimed, restore), died)
            const outcome = yield* tracing === undefined ? attempt : tracing.ofTask(claimed, attempt)
            fiber.setContext(context)
            claimed.closeUsage()
            yield* record(claimed, outcome)
            if (concernsPauses(claimed, outcome)) yield* Effect.exit(restore(pauses.onOutcome(claimed, outcome)))
            claimed.unassign()
            isAborted = claimed.abortReason !== undefined
            busy--
            if (outcome._tag === "Lost") yield* settler.drop(claimed)
            else settler.settle(claimed, outcome)
            if (pauseMillis > 0) yield* Effect.exit(restore(Effect.sleep(pauseMillis)))
            claims.onFree(claimed)
          }
        })
      )
    )

  /** Before the next task is taken, so that a limit counts this attempt when the next one asks. */
  const record = (claimed: ClaimedTask, outcome: Outcome.Outcome): Effect.Effect<void> => {
    // Never allowed to start: Safety has nothing to count.
    if (!claimed.isAllowed) return Effect.void
    if (claimed.startedAt !== undefined) {
      usage = Usage.add(Usage.add(usage, claimed.lostUsage), claimed.usage)
      parts.budgets?.book(claimed)
    }
    const recording = recordOutcome(claimed, outcome)
    if (Exit.isExit(recording) && Exit.isSuccess(recording)) return recording
    return Effect.catchCause(recording, (cause) =>
      Effect.logError("Safety died while an attempt was recorded", cause).pipe(
        Effect.annotateLogs({ module: "Safety" })
      )
    )
  }

  const recordOutcome = (claimed: ClaimedTask, outcome: Outcome.Outcome): Effect.Effect<void> => {
    const unreserved = claimed.unreservedUsage()
    switch (outcome._tag) {
      case "Accepted":
      case "InReview":
        return parts.safety.recordSuccess(unreserved)
      case "Rejected":
      case "Errored":
      case "Unverifiable":
        return parts.safety.recordFailure(Outcome.feedback(outcome), unreserved)
      case "Released":
      case "Lost":
        return parts.safety.recordRelease(unreserved)
    }
  }

  // A fiber per task would cost 2.8 µs. Instead, aborting a task ends its worker's fiber, and a new one takes over.
  const worker = (index: number) => Effect.forever(Effect.flatMap(Effect.forkChild(work(index)), Fiber.await))

  /** Starts workers as far as the concurrency reaches. Those above it wait after their task. */
  const loop = Effect.gen(function* () {
    for (let index = 0; ; index++) {
      yield* concurrency.awaitAbove(index)
      yield* Effect.forkChild(worker(index), { startImmediately: true })
    }
  })

  return {
    busy: () => busy,
    stats: () => ({ usage }),
    loop
  }
}

const concernsPauses = ({ claim: { probes } }: ClaimedTask, outcome: Outcome.Outcome): boolean =>
  probes !== undefined || (outcome._tag === "Released" && outcome.usageLimitUntil !== undefined)

/** Foreign code can break its caller, by returning nothing at all for instance. That fails its attempt. */
const died = (cause: Cause.Cause<never>): Effect.Effect<Outcome.Outcome> =>
  Effect.succeed({
    _tag: "Errored",
    error: new ExecutionError({ reason: "Failed", message: `The attempt died: ${String(Cause.squash(cause))}` })
  })
