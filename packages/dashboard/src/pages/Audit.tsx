import { useQueryClient } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import { useAudit, useFind, useMay, useTask } from "../api/queries.ts"
import type { Attempt, AuditOverview, TaskDetail } from "../schema.ts"
import { isOutdated, Judged } from "../components/Judged.tsx"
import { useKeys } from "../components/keyboard.ts"
import { Command, Empty, LoadingOrFailure } from "../components/Message.tsx"
import { usePerson } from "../components/Person.tsx"
import { Plain } from "../components/Plain.tsx"
import { TextForm } from "../components/TextForm.tsx"
import { notify } from "../components/toasts.tsx"
import type { View } from "../search.ts"
import { count, number } from "../text/format.ts"

const route = getRouteApi("/audit")

const percent = (share: number) => `${Number((share * 100).toFixed(1))}%`

type Rate = AuditOverview["all"]

const rate = ({ audited, high, low, sampled, wrong }: Rate): string =>
  audited === 0
    ? `none of ${number(sampled)} audited`
    : `${number(wrong)} of ${number(audited)} (${percent(low)} to ${percent(high)})`

const Rates = ({ all, judges }: AuditOverview) => (
  <section className="card audit-rates" aria-label="Rates">
    <p>
      {all.audited === 0
        ? "No verdict was audited yet."
        : `People agree with ${number(all.audited - all.wrong)} of ${count(all.audited, "verdict")}: ${percent(1 - all.wrong / all.audited)} (${percent(1 - all.high)} to ${percent(1 - all.low)}).`}
    </p>
    <div className="audit-table">
      <table>
        <thead>
          <tr>
            <th scope="col">Judge</th>
            <th scope="col">False accepts</th>
            <th scope="col">False rejects</th>
            <th scope="col">Criteria</th>
          </tr>
        </thead>
        <tbody>
          {judges.map(({ criteria, falseAccepts, falseRejects, models }) => (
            <tr key={JSON.stringify([models, criteria])}>
              <th scope="row">
                <Plain text={models.length === 0 ? "no model" : models.join(", ")} />
              </th>
              <td>{rate(falseAccepts)}</td>
              <td>{rate(falseRejects)}</td>
              <td>
                <Plain text={criteria ?? ""} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  </section>
)

interface DeskProps {
  readonly detail: TaskDetail
  readonly attempt: Attempt
  readonly mayAudit: boolean
  readonly onNext: () => void
  readonly onPrevious: () => void
  readonly onFound: () => void
}

const Desk = ({ attempt, detail, mayAudit, onFound, onNext, onPrevious }: DeskProps) => {
  const find = useFind()
  const [comment, setComment] = useState<string>()
  const [view, setView] = useState<View>("output")
  const { by, field } = usePerson()
  const send = (agrees: boolean, comment: string) =>
    find.mutate(
      { id: detail.task.id, attempt: attempt.token, by, agrees, comment },
      {
        onSuccess: () => {
          notify(`You ${agrees ? "agree" : "disagree"} about ${detail.task.id}.`)
          onFound()
        },
        onError: (error) => {
          notify(error.message, "failed")
          if (isOutdated(error)) onFound()
        }
      }
    )
  const agree = () => send(true, "")
  const disagree = () => setComment("")
  useKeys({
    ...(mayAudit && !find.isPending ? { a: agree, d: disagree } : undefined),
    j: onNext,
    s: onNext,
    k: onPrevious
  })
  return (
    <div className="review">
      <Judged detail={detail} attempt={attempt} view={view} onView={setView} />
      {mayAudit && (
        <div className="review-actions">
          {comment === undefined ? (
            <div className="review-buttons">
              <button type="button" className="button primary" disabled={find.isPending} onClick={agree}>
                Agree <kbd>a</kbd>
              </button>
              <button type="button" className="button" disabled={find.isPending} onClick={disagree}>
                Disagree <kbd>d</kbd>
              </button>
              <button type="button" className="button ghost" onClick={onNext}>
                Skip <kbd>s</kbd>
              </button>
              {field}
            </div>
          ) : (
            <TextForm
              label="What is wrong with the verdict"
              action="Disagree"
              text={comment}
              kind="comment"
              isComplete
              isPending={find.isPending}
              onChange={setComment}
              onSubmit={() => send(false, comment)}
              onClose={() => setComment(undefined)}
            />
          )}
        </div>
      )}
    </div>
  )
}

const shares = ["0.05", "0.2", "1"]

export const AuditPage = () => {
  const { queue, share } = route.useSearch()
  const navigate = useNavigate()
  const client = useQueryClient()
  const mayAudit = useMay("review")
  const audit = useAudit(queue, share)
  const [place, setPlace] = useState(0)
  const waiting = audit.data?.waiting ?? []
  const index = waiting.length === 0 ? 0 : place % waiting.length
  const verdict = waiting[index]
  const detail = useTask(verdict?.id ?? "")
  const attempt = detail.data?.attempts.find(({ token }) => token === verdict?.attempt)
  const left = audit.data === undefined ? 0 : audit.data.all.sampled - audit.data.all.audited

  /** Shows the next verdict at once; the rates follow. */
  const onFound = () => {
    client.setQueryData<AuditOverview>(["audit", queue ?? "", share ?? ""], (overview) =>
      overview === undefined ? overview : { ...overview, waiting: overview.waiting.filter((each) => each !== verdict) }
    )
    void client.invalidateQueries({ queryKey: ["audit"] })
    void client.invalidateQueries({ queryKey: ["task", verdict?.id] })
    document.documentElement.scrollTop = 0
  }

  return (
    <>
      <title>Audit · Baton</title>
      <div className="page-head">
        <h1>{verdict === undefined ? "Audit" : <Plain text={verdict.id} />}</h1>
        {verdict !== undefined && (
          <p className="muted" role="status">
            {count(left, "verdict")} {left === 1 ? "waits" : "wait"}
          </p>
        )}
        <div className="page-actions">
          <label className="review-person">
            Sample
            <select
              value={share ?? shares[0]}
              onChange={(event) => void navigate({ to: "/audit", search: { queue, share: event.target.value } })}
            >
              {shares.map((each) => (
                <option key={each} value={each}>
                  {percent(Number(each))} of the tasks
                </option>
              ))}
            </select>
          </label>
          {verdict !== undefined && (
            <Link to="/task" search={{ id: verdict.id }} className="button">
              All attempts
            </Link>
          )}
        </div>
      </div>
      {audit.data === undefined ? (
        <LoadingOrFailure query={audit} />
      ) : audit.data.all.sampled === 0 ? (
        <Empty title="The sample has no verdict">
          <p>Choose a larger sample, or verify outputs:</p>
          <Command>baton run prompts.csv --verifier claude --audit 5%</Command>
        </Empty>
      ) : (
        <>
          <Rates {...audit.data} />
          {verdict === undefined ? (
            <p className="note">Each verdict in the sample was audited.</p>
          ) : detail.data === undefined || attempt === undefined ? (
            <LoadingOrFailure query={detail} />
          ) : (
            <Desk
              key={`${verdict.id} ${verdict.attempt}`}
              detail={detail.data}
              attempt={attempt}
              mayAudit={mayAudit}
              onNext={() => setPlace(index + 1)}
              onPrevious={() => setPlace(index + waiting.length - 1)}
              onFound={onFound}
            />
          )}
        </>
      )}
    </>
  )
}
