import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { AttemptOutcome } from "../../Attempt.ts"
import type { Execution } from "../../Execution.ts"
import { ExecutionError } from "../../ExecutionError.ts"
import type { Resolved } from "../../OrchestratorConfig.ts"
import * as Outcome from "../../Outcome.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { transition } from "../../TaskState.ts"
import type { Settlement } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Usage from "../../Usage.ts"
import type { ClaimedTask } from "./claims.ts"

/** What the ledger keeps of a settlement. */
export const attemptOutcome = {
  Complete: "completed",
  Retry: "retried",
  Fail: "failed",
  Release: "released"
} as const satisfies Record<Settlement["_tag"], AttemptOutcome>

/** The outcomes that a settlement can write. */
export type SettledOutcome = (typeof attemptOutcome)[Settlement["_tag"]]

/** A result that the store refuses is a failure of its task. */
export const unstorable = (error: TaskStoreError): Outcome.Errored => ({
  _tag: "Errored",
  execution: null,
  error: new ExecutionError({ reason: "Permanent", message: `The result could not be stored: ${error.message}` })
})

/** Decides what happens to the task: applies the state machine and the retry policy to an outcome. */
export const settlementOf = (
  config: Resolved,
  claimed: ClaimedTask,
  outcome: Exclude<Outcome.Outcome, Outcome.Lost>
): Effect.Effect<Settlement> => {
  const { task, token } = claimed.claim
  const fields = {
    taskId: task.id,
    token,
    attemptUsage: claimed.usage,
    usage: Usage.add(task.usage, claimed.usage)
  }
  switch (outcome._tag) {
    case "Accepted": {
      const { execution, verification, verified } = outcome
      return Effect.succeed({ ...fields, _tag: "Complete", execution, verification, verified })
    }
    case "Released":
      return Effect.succeed({ ...fields, _tag: "Release", reason: outcome.reason })
    case "Rejected":
    case "Errored":
    case "Unverifiable": {
      const failure = {
        ...fields,
        execution: outcome.execution,
        verification: outcome._tag === "Rejected" ? outcome.verification : null,
        feedback: Outcome.feedback(outcome),
        checkpoint: checkpointOf(outcome)
      }
      const permanent = outcome._tag !== "Rejected" && outcome.error.reason === "Permanent"
      const next = transition(task, { _tag: "AttemptFailed", permanent }, config)
      return Result.isSuccess(next) && next.success.status === "pending"
        ? Effect.map(delayAfter(config, task.attempts), (delay) => ({ ...failure, _tag: "Retry", delay }))
        : Effect.succeed({ ...failure, _tag: "Fail" })
    }
  }
}

/** The next attempt verifies an output without a verdict, and executes nothing. */
const checkpointOf = (outcome: Outcome.Failure): Execution | null =>
  outcome._tag === "Unverifiable" ? outcome.execution : null

/** The policy is the user's code: when it dies, the task is retried at once instead of being held forever. */
const delayAfter = (config: Resolved, attempts: number): Effect.Effect<Duration.Duration> =>
  Effect.catchCause(RetryPolicy.delayAfter(config.retryPolicy, attempts), (cause) =>
    Effect.logError("The retry policy died; the next attempt follows at once", cause).pipe(
      Effect.annotateLogs({ module: "RetryPolicy" }),
      Effect.as(Duration.zero)
    )
  )
