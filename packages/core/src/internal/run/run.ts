import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type { ExecutorService } from "../../Executor.ts"
import type { ExecutionError } from "../../ExecutionError.ts"
import * as Metrics from "../../OrchestratorMetrics.ts"
import type { Resolved } from "../../OrchestratorConfig.ts"
import type { SafetyService } from "../../Safety.ts"
import type { StopReason } from "../../StopReason.ts"
import type { Task, TaskId } from "../../Task.ts"
import type { Settlement, TaskStore } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { VerifierService } from "../../Verifier.ts"
import * as deadlines from "./deadlines.ts"
import type { EventBus } from "./eventBus.ts"
import { abort, type Held } from "./held.ts"
import * as tally from "./tally.ts"
import type { Spans } from "./spans.ts"
import type { Traces } from "./traces.ts"

/** What ends a run, and the error behind it if there is one. */
export interface Ending {
  readonly reason: StopReason
  readonly error: ExecutionError | VerificationError | TaskStoreError | null
}

/** An attempt that has ended and is on its way to the store. */
export interface Ended {
  readonly held: Held
  readonly settlement: Settlement
}

/** What an orchestrator is made of, whatever it runs. */
export interface Parts {
  readonly config: Resolved
  readonly store: TaskStore["Service"]
  readonly executor: ExecutorService
  readonly verifier: VerifierService
  readonly safety: SafetyService
  readonly clock: Clock.Clock
  readonly bus: EventBus
  readonly spans: Spans
  readonly owner: string
}

/** One run: its parts, and the state that its fibers share. */
export interface Run extends Parts {
  readonly tally: tally.Tally
  /**
   * Every claim whose end is not durable yet. Not keyed by task: one that was cancelled and requeued can be claimed
   * again while its former attempt is still being cut off.
   */
  readonly held: Set<Held>
  /** Claimed and not started. */
  readonly queue: Queue.Queue<Held>
  readonly ended: Queue.Queue<Ended>
  /** Tasks that go back to pending with the next write; what is claimed of them again waits until that is told. */
  readonly returning: Map<TaskId, Deferred.Deferred<void>>
  readonly traces: Traces
  readonly executing: deadlines.Deadlines<Held>
  readonly verifying: deadlines.Deadlines<Held>
  /** Opened when workers may want more claims. */
  readonly demand: Latch.Latch
  /** Opened when the requests that were in force before the run are known. */
  readonly ready: Latch.Latch
  /** Open while the run is not paused. */
  readonly gate: Latch.Latch
  /** Open while nothing is held. */
  readonly quiet: Latch.Latch
  /** Opened to make the heartbeat beat now. */
  readonly beat: Latch.Latch
  readonly ending: Deferred.Deferred<Ending>
  /** When all leases were last extended. */
  extendedAt: number
  busy: number
}

export const make = Effect.fnUntraced(function* (parts: Parts): Effect.fn.Return<Run> {
  const { concurrency, prefetch } = parts.config
  return {
    ...parts,
    tally: tally.make(parts.clock.currentTimeMillisUnsafe()),
    held: new Set(),
    queue: yield* Queue.bounded<Held>(concurrency + prefetch),
    // Each claim has one end, and the intake bounds the claims: bounded here as well, a pause or a drain could block.
    ended: yield* Queue.unbounded<Ended>(),
    returning: new Map(),
    traces: new Map(),
    executing: yield* deadlines.make<Held>(parts.config.executionTimeout, (held) => abort(held, "execution-timeout")),
    verifying: yield* deadlines.make<Held>(parts.config.verificationTimeout, (held) =>
      abort(held, "verification-timeout")
    ),
    demand: Latch.makeUnsafe(true),
    ready: Latch.makeUnsafe(false),
    gate: Latch.makeUnsafe(true),
    quiet: Latch.makeUnsafe(true),
    beat: Latch.makeUnsafe(false),
    ending: yield* Deferred.make<Ending>(),
    extendedAt: parts.clock.currentTimeMillisUnsafe(),
    busy: 0
  }
})

/** Asks the run to end; the first reason counts. */
export const end = (run: Run, reason: StopReason, error: Ending["error"] = null): void => {
  Deferred.doneUnsafe(run.ending, Effect.succeed({ reason, error }))
}

export const fail = (run: Run, error: NonNullable<Ending["error"]>): void =>
  end(run, { _tag: "Failed", message: error.message }, error)

/** The time that an event happened. Events of one millisecond share it: making one costs as much as the event. */
export const now = (run: Parts): DateTime.Utc => {
  const millis = run.clock.currentTimeMillisUnsafe()
  if (latest.epochMilliseconds !== millis) latest = DateTime.makeUnsafe(millis)
  return latest
}

let latest = DateTime.makeUnsafe(0)

/** The fields that every event about an attempt has. */
export const ofAttempt = (run: Parts, task: Task) => ({ at: now(run), taskId: task.id, attempt: task.attempts })

/** Forgets a claim whose end is durable, or which is no longer ours. */
export const forget = (run: Run, held: Held): void => {
  run.held.delete(held)
  if (run.held.size === 0) run.quiet.openUnsafe()
}

/** Counts a lease that went to another worker. */
export const loseLease = (run: Run): Effect.Effect<void> =>
  Effect.suspend(() => {
    run.tally.leasesLost++
    return Metric.update(Metrics.leasesLost, 1)
  })
