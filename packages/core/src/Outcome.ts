/**
 * The outcome of an attempt, which a run derives from the executor's output and the verifier's verdict.
 *
 * An outcome is not yet what happens to the task: the limit of attempts and the retry policy turn it into the settlement
 * that the store writes, and the ledger keeps the result as `Attempt.outcome`.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type { Execution } from "./Execution.ts"
import type { ExecutionError } from "./ExecutionError.ts"
import type { Verification } from "./Verification.ts"
import type { VerificationError } from "./VerificationError.ts"

/**
 * - `Accepted`: the output becomes the task's result. `verification` is absent when no verifier looked at it
 * - `InReview`: a person has to decide about the output
 * - `Rejected`: the verifier rejected the output
 * - `Errored`: the execution failed. `execution` is absent or has a partial output, an exit code, a request id
 * - `Unverifiable`: there is an output, and the verifier returned no verdict
 * - `Released`: the attempt does not count, because it ended for a reason that has nothing to do with the task
 * - `Lost`: the lease ended or the task was cancelled, so the result is discarded
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = Accepted | InReview | Failure | Released | Lost

/** @since 0.1.0 */
export interface Accepted {
  readonly _tag: "Accepted"
  readonly execution: Execution
  readonly verification?: Verification | undefined
  readonly verified: boolean
}

/** @since 0.2.0 */
export interface InReview {
  readonly _tag: "InReview"
  readonly execution: Execution
  readonly verification: Verification
}

/**
 * The outcomes that use up an attempt without completing the task.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = Rejected | Errored | Unverifiable

/** @since 0.1.0 */
export interface Rejected {
  readonly _tag: "Rejected"
  readonly execution: Execution
  readonly verification: Verification
}

/** @since 0.1.0 */
export interface Errored {
  readonly _tag: "Errored"
  readonly execution?: Execution | undefined
  readonly error: ExecutionError
}

/** @since 0.1.0 */
export interface Unverifiable {
  readonly _tag: "Unverifiable"
  readonly execution: Execution
  readonly error: VerificationError
}

/** @since 0.1.0 */
export interface Released {
  readonly _tag: "Released"
  readonly reason: string
  /** The end of a usage limit that the attempt met: its queue is paused until then. */
  readonly usageLimitUntil?: DateTime.Utc | undefined
}

/** @since 0.1.0 */
export interface Lost {
  readonly _tag: "Lost"
}

/**
 * Whether an outcome uses up an attempt without completing the task.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFailure = (outcome: Outcome): outcome is Failure =>
  outcome._tag === "Rejected" || outcome._tag === "Errored" || outcome._tag === "Unverifiable"

/**
 * Why an attempt failed, for a person and for the next attempt.
 *
 * @category getters
 * @since 0.1.0
 */
export const feedback = (outcome: Failure): string => {
  switch (outcome._tag) {
    case "Rejected": {
      const { feedback, issues } = outcome.verification
      if (feedback !== "") return feedback
      return issues.length > 0 ? issues.join("\n") : "The verifier rejected the output without giving a reason."
    }
    case "Errored":
      return outcome.error.message
    case "Unverifiable":
      return `The output could not be verified: ${outcome.error.message}`
  }
}
