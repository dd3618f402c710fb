import type { Attempt } from "../schema.ts"
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
  if (verification === undefined) return null
  const { confidence, feedback, issues, models, passed, review } = verification
  const isJudged = models !== undefined || confidence > 0
  return (
    <section className="judged-part" aria-label="Verdict">
      <h2>Verdict</h2>
      {isJudged && (
        <p className="judged-verdict">
          <span className="badge" data-status={passed ? "completed" : "failed"}>
            {passed ? "Accepted" : "Rejected"}
          </span>{" "}
          {Math.round(confidence * 100)}% sure
          {models !== undefined && <span className="muted"> · {models.join(", ")}</span>}
        </p>
      )}
      {feedback.text !== "" && (
        <p>
          <Plain text={feedback.text} />
        </p>
      )}
      <Issues issues={issues} />
      {review !== undefined && (
        <p className="judged-reason">
          <Plain text={review} />
        </p>
      )}
    </section>
  )
}
