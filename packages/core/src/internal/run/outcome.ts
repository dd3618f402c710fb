import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Execution from "../../Execution.ts"
import type { ExecutionError } from "../../ExecutionError.ts"
import type { Resolved } from "../../OrchestratorConfig.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { transition } from "../../TaskState.ts"
import type { Settlement } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Usage from "../../Usage.ts"
import type { Verification } from "../../Verification.ts"
import type { Held } from "./held.ts"
import type { Run } from "./run.ts"

/** How an attempt went, before it is decided what that means for the task. */
export type Outcome =
  | {
      readonly _tag: "Accepted"
      readonly execution: Execution.Execution
      readonly verification: Verification | null
      readonly verified: boolean
    }
  | { readonly _tag: "Rejected"; readonly execution: Execution.Execution; readonly verification: Verification }
  | {
      readonly _tag: "Errored"
      readonly execution: Execution.Execution | null
      readonly message: string
      readonly permanent: boolean
    }
  /** There is an output, and no verifier came to a verdict on it. */
  | {
      readonly _tag: "Unverifiable"
      readonly execution: Execution.Execution
      readonly message: string
      readonly permanent: boolean
    }
  /** Not the task's doing: the attempt does not count. */
  | { readonly _tag: "GivenBack"; readonly reason: string }

/** What is left of a failed execution for the ledger: partial output, exit code, request id. */
export const errored = (error: ExecutionError): Outcome => ({
  _tag: "Errored",
  message: error.message,
  permanent: error.reason === "Permanent",
  execution:
    error.output === undefined && error.metadata === undefined
      ? null
      : Execution.make({
          output: error.output ?? "",
          confidence: 0,
          usage: error.usage ?? null,
          metadata: error.metadata ?? {}
        })
})

/** What the store cannot take of one task is a failure of that task. */
export const unstorable = (error: TaskStoreError): Outcome => ({
  _tag: "Errored",
  message: `The result could not be stored: ${error.message}`,
  permanent: true,
  execution: null
})

/** What the verdict tells the next attempt. */
const feedbackOf = (verification: Verification): string => {
  if (verification.feedback !== "") return verification.feedback
  return verification.issues.length > 0
    ? verification.issues.join("\n")
    : "The verifier rejected the output without saying why."
}

/** Decides what becomes of the task: the state machine and the retry policy applied to an outcome. */
export const settle = (config: Resolved, held: Held, outcome: Outcome): Effect.Effect<Settlement> => {
  const { task, token } = held.claim
  const lease = { taskId: task.id, token }
  switch (outcome._tag) {
    case "Accepted":
      return Effect.succeed({
        ...lease,
        ...usageOf(held),
        _tag: "Complete",
        execution: outcome.execution,
        verification: outcome.verification,
        verified: outcome.verified
      })
    case "GivenBack":
      return Effect.succeed({ ...lease, ...usageOf(held), _tag: "Release", reason: outcome.reason })
    case "Rejected":
      return failed(config, held, {
        execution: outcome.execution,
        verification: outcome.verification,
        feedback: feedbackOf(outcome.verification),
        checkpoint: null,
        permanent: false
      })
    case "Unverifiable":
      return failed(config, held, {
        execution: outcome.execution,
        verification: null,
        feedback: outcome.message,
        checkpoint: outcome.execution,
        permanent: outcome.permanent
      })
    case "Errored":
      return failed(config, held, {
        execution: outcome.execution,
        verification: null,
        feedback: outcome.message,
        checkpoint: null,
        permanent: outcome.permanent
      })
  }
}

/** Sends an attempt's end on its way to the store. */
export const conclude = Effect.fnUntraced(function* (run: Run, held: Held, outcome: Outcome) {
  held.phase = "settling"
  const settlement = yield* settle(run.config, held, outcome)
  const returns = settlement._tag === "Retry" || settlement._tag === "Release"
  // Someone may wait for an earlier return of the same task already.
  if (returns && !run.returning.has(settlement.taskId)) {
    run.returning.set(settlement.taskId, Deferred.makeUnsafe())
  }
  yield* Queue.offer(run.ended, { held, settlement })
})

const usageOf = (held: Held) => ({
  attemptUsage: held.usage,
  usage: Usage.add(held.claim.task.usage, held.usage)
})

const failed = Effect.fnUntraced(function* (
  config: Resolved,
  held: Held,
  failure: {
    readonly execution: Execution.Execution | null
    readonly verification: Verification | null
    readonly feedback: string
    readonly checkpoint: Execution.Execution | null
    readonly permanent: boolean
  }
): Effect.fn.Return<Settlement> {
  const { task, token } = held.claim
  const { permanent, ...fields } = failure
  const settlement = { taskId: task.id, token, ...usageOf(held), ...fields }
  const next = transition(task, { _tag: "AttemptFailed", permanent }, config)
  return Result.isSuccess(next) && next.success.status === "pending"
    ? { ...settlement, _tag: "Retry", delay: yield* delayAfter(config, task.attempts) }
    : { ...settlement, _tag: "Fail" }
})

// The policy is the user's code; where it dies, the task is tried again at once and not held for ever.
const delayAfter = (config: Resolved, attempts: number): Effect.Effect<Duration.Duration> =>
  Effect.catchCause(RetryPolicy.delayAfter(config.retryPolicy, attempts), (cause) =>
    Effect.logError("The retry policy died; the next attempt follows at once", cause).pipe(
      Effect.annotateLogs({ module: "RetryPolicy" }),
      Effect.as(Duration.zero)
    )
  )
