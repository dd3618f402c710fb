/** The attempts of a task, oldest first. */
import type { ReactNode } from "react"
import type { Attempt } from "../api/schema.ts"
import { cost } from "../text/format.ts"
import { Plain } from "./Plain.tsx"
import { OutcomeBadge } from "./Status.tsx"
import { Ago, Duration } from "./Time.tsx"

interface Props {
  readonly attempts: ReadonlyArray<Attempt>
  readonly selected: number | undefined
  readonly onSelect: (token: number) => void
}

const Said = ({ children, label }: { readonly label: string; readonly children: ReactNode }) => (
  <div className="said">
    <span className="said-label">{label}</span>
    <div className="said-text">{children}</div>
  </div>
)

/** What the verifier said, or why the attempt failed. */
const Reason = ({ attempt: { error, verification } }: { readonly attempt: Attempt }) => {
  if (verification !== null) {
    const { confidence, feedback, issues, models, passed } = verification
    return (
      <Said
        label={`${passed ? "Accepted" : "Rejected"}${models === undefined ? "" : ` by ${models.join(", ")}`}${
          confidence < 1 ? `, ${Math.round(confidence * 100)}% sure` : ""
        }`}
      >
        {feedback.text !== "" && <Plain text={feedback.text} />}
        {issues.length > 0 && (
          <ul>
            {issues.map((issue, index) => (
              <li key={index}>
                <Plain text={issue} />
              </li>
            ))}
          </ul>
        )}
      </Said>
    )
  }
  return error === null ? null : (
    <Said label="Reason">
      <Plain text={error.text} />
    </Said>
  )
}

export const Timeline = ({ attempts, onSelect, selected }: Props) => (
  <ol className="timeline">
    {attempts.map((attempt) => (
      <li
        key={attempt.token}
        className="attempt"
        data-status={attempt.outcome}
        data-selected={attempt.token === selected}
      >
        <button
          type="button"
          className="attempt-head"
          aria-pressed={attempt.token === selected}
          onClick={() => onSelect(attempt.token)}
        >
          <span className="attempt-name">Attempt {attempt.number}</span>
          <OutcomeBadge outcome={attempt.outcome} />
        </button>
        <p className="attempt-facts muted">
          <span>
            <Ago at={attempt.startedAt} />
          </span>
          <span>
            took <Duration from={attempt.startedAt} to={attempt.endedAt} />
          </span>
          {attempt.usage !== null && <span>{cost(attempt.usage)}</span>}
          <span className="attempt-owner" title="Worker">
            <Plain text={attempt.owner} />
          </span>
        </p>
        <Reason attempt={attempt} />
      </li>
    ))}
  </ol>
)
