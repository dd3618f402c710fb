import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SafetyStop } from "../SafetyStop.ts"
import * as Usage from "../Usage.ts"
import type { Verification } from "../Verification.ts"
import * as Verdict from "../Verification.ts"
import type { VerificationError } from "../VerificationError.ts"

/** At least `quorum` have to pass. Confidence is that of the weakest verdict on the winning side. */
export const atLeast =
  (quorum: number) =>
  (verdicts: ReadonlyArray<Verification>): Verification => {
    const passing = verdicts.filter((verdict) => verdict.passed)
    const rejecting = verdicts.filter((verdict) => !verdict.passed)
    const passed = passing.length >= quorum
    const deciding = passed ? passing : rejecting
    return {
      passed,
      confidence: deciding.reduce((least, verdict) => Math.min(least, verdict.confidence), 1),
      feedback: deciding.flatMap(({ feedback }) => (feedback === "" ? [] : [feedback])).join("\n"),
      issues: deciding.flatMap(({ issues }) => issues),
      usage: verdicts.reduce<Usage.Usage | null>((sum, { usage }) => Usage.add(sum, usage), null)
    }
  }

/** As `atLeast`, where some did not come to a verdict. */
export const vote =
  (quorum: number) =>
  (
    results: ReadonlyArray<Result.Result<Verification, VerificationError | SafetyStop>>
  ): Effect.Effect<Verification, VerificationError | SafetyStop> => {
    const verdicts = results.filter(Result.isSuccess).map(({ success }) => success)
    const errors = results.filter(Result.isFailure).map(({ failure }) => failure)
    const decisive = errors.find((error) => error._tag === "SafetyStop" || error.reason === "Fatal")
    if (decisive !== undefined) return Effect.fail(decisive)
    const verdict = atLeast(quorum)(verdicts)
    const [undecided] = errors
    if (undecided !== undefined && !verdict.passed && passing(verdicts) + errors.length >= quorum) {
      return Effect.fail(undecided)
    }
    return Effect.succeed(verdict)
  }

const passing = (verdicts: ReadonlyArray<Verification>) => verdicts.filter(({ passed }) => passed).length

export const minConfidence =
  (minimum: number) =>
  ([verdict]: ReadonlyArray<Verification>): Verification => {
    if (verdict === undefined) return Verdict.reject("no verdict")
    if (!verdict.passed || verdict.confidence >= minimum) return verdict
    const doubt = `The verifier passed this with confidence ${verdict.confidence}, below the required ${minimum}.`
    return { ...verdict, passed: false, feedback: verdict.feedback === "" ? doubt : `${doubt} ${verdict.feedback}` }
  }
