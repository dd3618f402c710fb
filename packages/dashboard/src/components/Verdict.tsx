import type { Attempt } from "../api/schema.ts"
import { Plain } from "./Plain.tsx"

/** The problems that a verifier found. */
export const Issues = ({ issues }: { readonly issues: ReadonlyArray<string> }) =>
  issues.length === 0 ? null : (
    <ul>
      {issues.map((issue, index) => (
        <li key={index}>
          <Plain text={issue} />
        </li>
      ))}
    </ul>
  )

/** Why a person has to decide, and what the verifier says. */
export const Verdict = ({ attempt: { verification } }: { readonly attempt: Attempt }) => {
  if (verification === null) return null
  const { confidence, feedback, issues, models, passed, review } = verification
  const isJudged = models !== undefined || confidence > 0
  return (
    <section className="review-reason" aria-label="Verdict">
      {review !== undefined && (
        <p>
          <Plain text={review} />
        </p>
      )}
      {isJudged && (
        <p className="muted">
          {passed ? "Accepted" : "Rejected"}
          {models !== undefined && ` by ${models.join(", ")}`}, {Math.round(confidence * 100)}% sure
        </p>
      )}
      {feedback.text !== "" && (
        <p>
          <Plain text={feedback.text} />
        </p>
      )}
      <Issues issues={issues} />
    </section>
  )
}
