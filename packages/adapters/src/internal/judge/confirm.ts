import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import { modelsOf, type Verification } from "@baton/core/Verification"
import { VerificationError } from "@baton/core/VerificationError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

type Opinion = Effect.Effect<Verification, VerificationError | SafetyStop>

/**
 * Gets up to `times` further opinions when the first one rejects. The majority of all counts, and an output passes with more
 * than half. It stops as soon as the remaining opinions cannot change the result. A failed opinion is not a vote: when such
 * votes could have decided, the verification fails. The usage includes all opinions, because all are paid for.
 */
export const confirmed = Effect.fnUntraced(function* (
  times: number,
  ask: (opinion: number) => Opinion
): Effect.fn.Return<Verification, VerificationError | SafetyStop> {
  const first = yield* ask(1)
  if (first.passed || times <= 0) return first
  const quorum = Math.floor((times + 1) / 2) + 1
  const passing: Array<Verification> = []
  const rejecting: Array<Verification> = [first]
  const errors: Array<VerificationError> = []
  let usage = first.usage
  for (let left = times; left > 0; left--) {
    if (passing.length >= quorum || passing.length + left + errors.length < quorum) break
    const opinion = yield* Effect.result(ask(times - left + 2))
    if (Result.isSuccess(opinion)) {
      const side = opinion.success.passed ? passing : rejecting
      side.push(opinion.success)
      usage = Usage.add(usage, opinion.success.usage)
    } else {
      if (opinion.failure._tag === "SafetyStop") return yield* opinion.failure
      usage = Usage.add(usage, opinion.failure.usage)
      if (opinion.failure.reason === "Fatal") return yield* withUsage(opinion.failure, usage)
      errors.push(opinion.failure)
    }
  }
  const [error] = errors
  if (passing.length >= quorum) return majority(passing, usage)
  if (error !== undefined && passing.length + errors.length >= quorum) return yield* withUsage(error, usage)
  return majority(rejecting, usage)
})

/** The first verdict of the majority, with the lowest confidence of the majority. */
const majority = (side: ReadonlyArray<Verification>, usage: Usage.Usage | undefined): Verification => ({
  passed: side.every(({ passed }) => passed),
  confidence: side.reduce((least, { confidence }) => Math.min(least, confidence), 1),
  feedback: side[0]?.feedback ?? "",
  issues: side[0]?.issues ?? [],
  usage,
  ...modelsOf(side)
})

const withUsage = ({ cause, message, reason, retryAfter }: VerificationError, usage: Usage.Usage | undefined) =>
  new VerificationError({
    reason,
    message,
    ...(retryAfter === undefined ? undefined : { retryAfter }),
    ...(usage === undefined ? undefined : { usage }),
    ...(cause === undefined ? undefined : { cause })
  })
