import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Attempt, AttemptOutcome } from "../../Attempt.ts"
import type { Execution } from "../../Execution.ts"
import { ExecutionError } from "../../ExecutionError.ts"
import * as Outcome from "../../Outcome.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { Task } from "../../Task.ts"
import { transition } from "../../TaskState.ts"
import type { Settlement } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { ClaimedTask } from "./claims.ts"
import type { RunParts } from "./parts.ts"
import { storedAttempts } from "./storeCall.ts"

/** What the ledger keeps of a settlement. */
export const attemptOutcome = {
  Complete: "completed",
  Review: "in_review",
  Retry: "retried",
  Fail: "failed",
  Release: "released"
} as const satisfies Record<Settlement["_tag"], AttemptOutcome>

/** The outcomes that a settlement can write. */
export type SettledOutcome = (typeof attemptOutcome)[Settlement["_tag"]]

/** A result that the store refuses is a failure of its task. */
export const unstorable = (error: TaskStoreError): Outcome.Errored => ({
  _tag: "Errored",
  error: new ExecutionError({ reason: "Permanent", message: `The result could not be stored: ${error.message}` })
})

/** The settlement of an attempt that was accepted, released or sent to review. */
export const settlementOf = (
  claimed: ClaimedTask,
  outcome: Outcome.Accepted | Outcome.InReview | Outcome.Released
): Settlement => {
  const {
    claim: { task, token },
    committed,
    usage
  } = claimed
  if (outcome._tag === "Accepted") {
    // Without a spread, which takes a multiple of the memory: this is what most attempts end with.
    return {
      _tag: "Complete",
      taskId: task.id,
      token,
      attemptUsage: usage,
      committed,
      usage: claimed.taskUsage(),
      execution: outcome.execution,
      verification: outcome.verification,
      verified: outcome.verified
    }
  }
  const attempt = { taskId: task.id, token, attemptUsage: usage, committed, usage: claimed.taskUsage() }
  if (outcome._tag === "Released") return { _tag: "Release", ...attempt, reason: outcome.reason }
  return { _tag: "Review", ...attempt, execution: outcome.execution, verification: outcome.verification }
}

/** The settlement of a failed attempt: the state machine, the limit of attempts and the retry policy decide. */
export const failureSettlementOf = (
  parts: RunParts,
  claimed: ClaimedTask,
  outcome: Outcome.Failure
): Effect.Effect<Settlement> => {
  const { task, token } = claimed.claim
  const failure = {
    taskId: task.id,
    token,
    attemptUsage: claimed.usage,
    committed: claimed.committed,
    usage: claimed.taskUsage(),
    execution: outcome.execution,
    verification: outcome._tag === "Rejected" ? outcome.verification : undefined,
    feedback: Outcome.feedback(outcome),
    checkpoint: checkpointOf(outcome)
  }
  const permanent = outcome._tag !== "Rejected" && outcome.error.reason === "Permanent"
  const maxAttempts = task.overrides.maxAttempts ?? parts.config.maxAttempts
  const next = transition(task, { _tag: "AttemptFailed", permanent }, { ...parts.config, maxAttempts })
  if (Result.isFailure(next) || next.success.status !== "pending") return Effect.succeed({ ...failure, _tag: "Fail" })
  return Effect.map(
    retryDelay(parts, task, outcome),
    Option.match({
      onNone: () => ({ ...failure, _tag: "Fail" as const }),
      onSome: (delay) => ({ ...failure, _tag: "Retry" as const, delay })
    })
  )
}

/** The next attempt verifies an output without a verdict, and executes nothing. */
const checkpointOf = (outcome: Outcome.Failure): Execution | undefined =>
  outcome._tag === "Unverifiable" ? outcome.execution : undefined

/** None when the retry policy has ended. */
const retryDelay = Effect.fnUntraced(
  function* (parts: RunParts, task: Task, outcome: Outcome.Failure) {
    const { retryDelayMillis } = task.overrides
    if (retryDelayMillis !== undefined) return Option.some(Duration.millis(retryDelayMillis))
    const last = { attempt: task.attempts, outcome, endedAt: parts.clock.currentTimeMillisUnsafe() }
    const earlier = task.attempts === 1 ? [] : yield* earlierFailures(parts, task)
    return yield* RetryPolicy.delayAfter(parts.config.retryPolicy, [...earlier, last])
  },
  // The policy is the user's code. When it fails, the task is retried at once instead of being held forever.
  Effect.catchCause((cause) =>
    Effect.logError("The retry policy failed; the next attempt follows at once", cause).pipe(
      Effect.annotateLogs({ module: "RetryPolicy" }),
      Effect.as(Option.some(Duration.zero))
    )
  )
)

/** The failed attempts before this one, since the task was added or last requeued. */
const earlierFailures = Effect.fnUntraced(function* (parts: RunParts, task: Task) {
  const attempts = yield* storedAttempts(parts, task.id)
  const failures: Array<RetryPolicy.FailedAttempt> = []
  let number = task.attempts - 1
  for (const attempt of attempts.toReversed()) {
    if (number === 0) break
    // A released attempt has the number of the attempt that took its place.
    if (attempt.number !== number || attempt.endedAt === undefined || !isFailure(attempt)) continue
    failures.unshift({ attempt: number, outcome: failureOf(attempt), endedAt: attempt.endedAt.epochMilliseconds })
    number--
  }
  return failures
})

const isFailure = ({ outcome }: Attempt): boolean => outcome === "retried" || outcome === "lease_expired"

const failureOf = ({ error, execution, verification }: Attempt): Outcome.Failure =>
  execution !== undefined && verification !== undefined
    ? { _tag: "Rejected", execution, verification }
    : {
        _tag: "Errored",
        execution,
        error: new ExecutionError({ reason: "Failed", message: error ?? "The attempt failed." })
      }
