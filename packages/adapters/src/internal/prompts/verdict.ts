import * as Verification from "@baton/core/Verification"
import { Confidence } from "@baton/core/Execution"
import type { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"

/**
 * What a judge answers, in the order in which it is to be written: a model that has to give its reasons before its
 * verdict does not have to defend a verdict that came first.
 */
export const Verdict = Schema.Struct({
  reasoning: Schema.String.annotate({
    description: "What the task asks for, point by point, and whether the answer does it"
  }),
  passed: Schema.Boolean.annotate({ description: "Whether the answer does what the task asks for" }),
  confidence: Confidence.annotate({ description: "How sure you are of this verdict, from 0.0 to 1.0" }),
  feedback: Schema.String.annotate({
    description: "For whoever tries again: what to do differently. Empty when nothing is wrong"
  }),
  issues: Schema.Array(Schema.String).annotate({ description: "Each thing that is wrong, in a few words" })
})

export interface Verdict extends Schema.Schema.Type<typeof Verdict> {}

/** A rejection always says why: the next attempt has nothing else to go by. */
export const toVerification = (
  { confidence, feedback, issues, passed, reasoning }: Verdict,
  usage: Usage | null
): Verification.Verification => {
  if (passed) return Verification.pass({ confidence, feedback: feedback.trim(), issues, usage })
  const why = [feedback, issues.join("; "), reasoning].map((text) => text.trim()).find((text) => text !== "")
  return Verification.reject(why ?? "The judge did not say what is wrong.", { confidence, issues, usage })
}
