/** The attempts of a task, oldest first. */
import type { ReactNode } from "react"
import type { Attempt, TaskDetail, Verdict } from "../schema.ts"
import { cost } from "../text/format.ts"
import { plain } from "../text/visible.ts"
import { Plain } from "./Plain.tsx"
import { OutcomeBadge } from "./Status.tsx"
import { Ago, Duration } from "./Time.tsx"
import { Issues } from "./Verdict.tsx"

interface Props {
  readonly attempts: ReadonlyArray<Attempt>
  /** What the attempt under way has reported last. */
  readonly progress: TaskDetail["progress"]
  readonly selected: number | undefined
  readonly onSelect: (token: number) => void
}

const Said = ({ children, label }: { readonly label: string; readonly children: ReactNode }) => (
  <div className="said">
    <span className="said-label">{label}</span>
    <div className="said-text">{children}</div>
  </div>
)

const decided = {
  approved: "Approved by",
  rejected: "Rejected by",
  edited: "Edited by",
  expired: "Expired by"
} as const

/** What a person decided. */
const Decided = ({ decision: { by, comment, kind } }: { readonly decision: NonNullable<Verdict["decision"]> }) => (
  <Said label={`${decided[kind]} ${plain(by)}`}>{comment !== "" && <Plain text={comment} />}</Said>
)

/** What the verifier and a person said, or why the attempt failed. */
const Reason = ({ attempt: { error, verification } }: { readonly attempt: Attempt }) => {
  if (verification !== undefined) {
    const { confidence, decision, feedback, issues, models, passed, review } = verification
    const isJudged = models !== undefined || confidence > 0
    const verdict = (
      <Said
        label={`${passed ? "Accepted" : "Rejected"}${models === undefined ? "" : ` by ${models.join(", ")}`}${
          confidence < 1 ? `, ${Math.round(confidence * 100)}% sure` : ""
        }`}
      >
        {feedback.text !== "" && <Plain text={feedback.text} />}
        <Issues issues={issues} />
      </Said>
    )
    return (
      <>
        {isJudged && verdict}
        {decision === undefined ? (
          review !== undefined && (
            <Said label="In review">
              <Plain text={review} />
            </Said>
          )
        ) : (
          <Decided decision={decision} />
        )}
      </>
    )
  }
  return error === undefined ? null : (
    <Said label="Reason">
      <Plain text={error.text} />
    </Said>
  )
}

/** A text, a fraction, or both. */
const Progress = ({ progress: { fraction, text } }: { readonly progress: NonNullable<TaskDetail["progress"]> }) =>
  (fraction !== undefined || text !== undefined) && (
    <Said label={fraction === undefined ? "Progress" : `Progress: ${Math.floor(fraction * 100)}%`}>
      {fraction !== undefined && <progress value={fraction} aria-label="Progress of the attempt" />}
      {text !== undefined && (
        <div>
          <Plain text={text} />
        </div>
      )}
    </Said>
  )

export const Timeline = ({ attempts, onSelect, progress, selected }: Props) => (
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
          {attempt.usage !== undefined && <span>{cost(attempt.usage)}</span>}
          <span className="attempt-owner" title="Worker">
            <Plain text={attempt.owner} />
          </span>
        </p>
        {attempt.outcome === "running" && progress !== undefined && <Progress progress={progress} />}
        <Reason attempt={attempt} />
      </li>
    ))}
  </ol>
)
