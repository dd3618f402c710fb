import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SafetyStop } from "../SafetyStop.ts"
import * as Usage from "../Usage.ts"
import { modelsOf, type Verification } from "../Verification.ts"
import { VerificationError } from "../VerificationError.ts"

type Vote = Result.Result<Verification, VerificationError | SafetyStop>

/**
 * Passes when at least `quorum` verifiers pass. A verifier without a verdict has no vote; if such votes could have changed the
 * result, this fails. Where those that leave the decision to a person are needed for the quorum, so does the result. The
 * usage of all verifiers is counted in any case.
 */
export const vote =
  (quorum: number) =>
  (votes: ReadonlyArray<Vote>): Effect.Effect<Verification, VerificationError | SafetyStop> => {
    const verdicts = votes.filter(Result.isSuccess).map(({ success }) => success)
    const errors = votes.filter(Result.isFailure).map(({ failure }) => failure)
    const usage = [...verdicts, ...errors].reduce<Usage.Usage | undefined>(
      (sum, vote) => ("usage" in vote ? Usage.add(sum, vote.usage) : sum),
      undefined
    )
    const decisive = errors.find((error) => error._tag === "SafetyStop" || error.reason === "Fatal")
    if (decisive !== undefined) return Effect.fail(withUsage(decisive, usage))
    const passing = verdicts.filter(({ passed, review }) => passed && review === undefined)
    const asking = verdicts.filter(({ review }) => review !== undefined)
    const passed = passing.length >= quorum
    const [undecided] = errors
    if (undecided !== undefined && !passed && passing.length + asking.length + errors.length >= quorum) {
      return Effect.fail(withUsage(undecided, usage))
    }
    const isOpen = !passed && asking.length > 0 && passing.length + asking.length >= quorum
    const side = isOpen ? asking : verdicts.filter((verdict) => !verdict.passed && verdict.review === undefined)
    const verdict = verdictOf(isOpen ? asking.every((each) => each.passed) : passed, passed ? passing : side, usage)
    return Effect.succeed({
      ...verdict,
      ...modelsOf(verdicts),
      ...(isOpen ? { review: asking.map(({ review }) => review).join("\n") } : undefined)
    })
  }

/** The verdict of the verifiers that agree, with the lowest confidence among them. */
const verdictOf = (
  passed: boolean,
  side: ReadonlyArray<Verification>,
  usage: Usage.Usage | undefined
): Verification => ({
  passed,
  confidence: side.reduce((least, { confidence }) => Math.min(least, confidence), 1),
  feedback: side.flatMap(({ feedback }) => (feedback === "" ? [] : [feedback])).join("\n"),
  issues: side.flatMap(({ issues }) => issues),
  ...(usage === undefined ? undefined : { usage })
})

const withUsage = (error: VerificationError | SafetyStop, usage: Usage.Usage | undefined) =>
  error._tag === "SafetyStop" || usage === undefined
    ? error
    : new VerificationError({
        reason: error.reason,
        message: error.message,
        usage,
        ...(error.retryAfter === undefined ? undefined : { retryAfter: error.retryAfter }),
        ...(error.cause === undefined ? undefined : { cause: error.cause })
      })

export const minConfidence =
  (minimum: number) =>
  (verdict: Verification): Verification => {
    if (!verdict.passed || verdict.confidence >= minimum) return verdict
    const doubt = `The verifier passed this with confidence ${verdict.confidence}, below the required ${minimum}.`
    return { ...verdict, passed: false, feedback: verdict.feedback === "" ? doubt : `${doubt} ${verdict.feedback}` }
  }
