import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ExecutorService } from "../../Executor.ts"
import type { ExecutionError } from "../../ExecutionError.ts"
import type { Resolved } from "../../OrchestratorConfig.ts"
import type { Redact } from "../../Redactor.ts"
import type { Limits } from "../../Safety.ts"
import type { SafetyStop } from "../../SafetyStop.ts"
import type { StopReason } from "../../StopReason.ts"
import type { Task } from "../../Task.ts"
import type { TaskStore } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { VerificationError } from "../../VerificationError.ts"
import type { VerifierService } from "../../Verifier.ts"
import type { RunEvents } from "./events.ts"
import type { RunMetrics } from "./metrics.ts"
import type { QueueBudgets } from "./queueBudgets.ts"
import type { Spans } from "./traces.ts"

/** The services and settings that a run is built from. */
export interface RunParts {
  readonly config: Resolved
  readonly store: TaskStore["Service"]
  readonly executor: ExecutorService
  readonly verifier: VerifierService
  /** Removes secrets from a text. Executor, verifier and events are without secrets already. */
  readonly redact: Redact
  readonly safety: Limits
  /** Undefined when the store keeps no budgets. */
  readonly budgets: QueueBudgets | undefined
  readonly clock: Clock.Clock
  readonly events: RunEvents
  readonly spans: Spans
  readonly metrics: RunMetrics
  readonly owner: string
}

/** Why a run stops, and the error that caused it. */
export interface Stop {
  readonly reason: StopReason
  readonly error?: ExecutionError | VerificationError | TaskStoreError | undefined
}

/** Stops one run. The first request counts. */
export interface StopSignal {
  readonly request: (reason: StopReason) => void
  readonly limitReached: (stop: SafetyStop) => void
  readonly fail: (error: NonNullable<Stop["error"]>) => void
  readonly isRequested: () => boolean
  readonly await: Effect.Effect<Stop>
}

export const makeStopSignal = (): StopSignal => {
  const requested = Deferred.makeUnsafe<Stop>()
  const stop = (reason: StopReason, error?: Stop["error"]) =>
    void Deferred.doneUnsafe(requested, Effect.succeed({ reason, error }))
  return {
    request: stop,
    limitReached: ({ limit, message, queue }) =>
      stop({ _tag: "LimitReached", limit, ...(queue === undefined ? undefined : { queue }), message }),
    fail: (error) => stop({ _tag: "Failed", message: error.message }, error),
    isRequested: () => Deferred.isDoneUnsafe(requested),
    await: Deferred.await(requested)
  }
}

export const describeReason = (reason: StopReason): string => {
  switch (reason._tag) {
    case "Drained":
      return "nothing is left to do"
    case "Stopped":
      return "a stop was requested"
    case "Interrupted":
      return "the run was interrupted"
    case "LimitReached":
    case "Failed":
      return reason.message
  }
}

/** The time of an event. Events of the same millisecond share it: making one costs as much as the event. */
export const now = ({ clock }: Pick<RunParts, "clock">): DateTime.Utc => {
  const millis = clock.currentTimeMillisUnsafe()
  if (latest.epochMilliseconds !== millis) latest = DateTime.makeUnsafe(millis)
  return latest
}

let latest = DateTime.makeUnsafe(0)

/** The fields that every event about an attempt has. */
export const ofAttempt = (parts: Pick<RunParts, "clock">, task: Task) => ({
  at: now(parts),
  taskId: task.id,
  attempt: task.attempts
})
