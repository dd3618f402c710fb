import { useQueryClient } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useCallback, useEffect, useState } from "react"
import { RequestError } from "../api/client.ts"
import { taskQuery, useDecide, useInReview, useMay, useOutput, useQueues, useTask } from "../api/queries.ts"
import type { Attempt, Decision, TaskDetail, TaskPage } from "../schema.ts"
import { isOutdated, Judged } from "../components/Judged.tsx"
import { useKeys } from "../components/keyboard.ts"
import { Command, Empty, LoadingOrFailure } from "../components/Message.tsx"
import { usePerson } from "../components/Person.tsx"
import { Plain } from "../components/Plain.tsx"
import { TextForm } from "../components/TextForm.tsx"
import { notify } from "../components/toasts.tsx"
import type { View } from "../search.ts"
import { count, number } from "../text/format.ts"

const route = getRouteApi("/review")

/** What the person is typing: a comment, or a text that takes the place of the output. */
type Draft =
  | { readonly kind: "reject"; readonly text: string; readonly giveUp: boolean }
  | { readonly kind: "edit"; readonly text: string }

const said = { approve: "Approved", reject: "Rejected", edit: "Edited" } as const

interface DraftFormProps {
  readonly draft: Draft
  readonly isPending: boolean
  readonly onChange: (draft: Draft) => void
  readonly onSubmit: () => void
  readonly onClose: () => void
}

const DraftForm = ({ draft, isPending, onChange, onClose, onSubmit }: DraftFormProps) => (
  <TextForm
    label={
      draft.kind === "edit"
        ? "The text that becomes the result"
        : draft.giveUp
          ? "Why the task is given up"
          : "Feedback for the next attempt, which gets it as it is"
    }
    action={draft.kind === "edit" ? "Use this text" : draft.giveUp ? "Give up" : "Reject"}
    text={draft.text}
    kind={draft.kind}
    isComplete={draft.kind === "edit" || draft.text.trim() !== ""}
    isPending={isPending}
    onChange={(text) => onChange({ ...draft, text })}
    onSubmit={onSubmit}
    onClose={onClose}
  />
)

interface OverProps {
  readonly attempt: Attempt | undefined
  readonly onNext: () => void
}

/** What happened to an output while it was shown. */
const Over = ({ attempt, onNext }: OverProps) => {
  const decision = attempt?.verification?.decision
  return (
    <div className="review-over" role="status">
      <p>
        {attempt === undefined ? (
          "This task was deleted."
        ) : decision === undefined ? (
          "This output is no longer in review."
        ) : (
          <>
            <Plain text={decision.by} /> {decision.kind} this output
            {decision.comment === "" ? "." : ": "}
            <Plain text={decision.comment} />
          </>
        )}
      </p>
      <button type="button" className="button small" onClick={onNext}>
        Go on <kbd>s</kbd>
      </button>
    </div>
  )
}

interface DeskProps {
  readonly detail: TaskDetail
  /** The attempt in review, or the last one that was. */
  readonly attempt: Attempt
  readonly isDeleted: boolean
  readonly canDecide: boolean
  readonly isPending: boolean
  readonly onDecide: (decision: Decision) => void
  readonly onNext: () => void
  readonly onPrevious: () => void
  readonly onGoOn: () => void
}

/** Stays with one attempt when others decide about it, so that what a person types never reaches another one. */
const Desk = (props: DeskProps) => {
  const { canDecide, detail, isDeleted, isPending, onDecide, onGoOn, onNext, onPrevious } = props
  const { task } = detail
  const [first] = useState(props.attempt)
  const attempt = detail.attempts.find(({ token }) => token === first.token) ?? first
  // An event about one's own decision can arrive before the answer to it.
  const isOver = !isPending && (isDeleted || attempt.outcome !== "in_review")
  const [draft, setDraft] = useState<Draft>()
  const [isEditing, setEditing] = useState(false)
  const [view, setView] = useState<View>("output")
  const { by, field } = usePerson()
  // A long output is read as a whole before it is edited, or its end would be lost.
  const whole = useOutput(task.id, attempt.token, isEditing && attempt.output?.cut === true)

  const about = { id: task.id, attempt: attempt.token, by }
  const approve = () => onDecide({ ...about, decision: "approve" })
  const edit = () => setEditing(true)
  const original = attempt.output?.cut === true ? whole.data : (attempt.output?.text ?? "")
  const open: Draft | undefined =
    draft ?? (isEditing && original !== undefined ? { kind: "edit", text: original } : undefined)
  const close = () => {
    setDraft(undefined)
    setEditing(false)
  }
  const reject = (giveUp: boolean) => setDraft({ kind: "reject", text: "", giveUp })
  const submit = () => {
    if (open?.kind === "edit") onDecide({ ...about, decision: "edit", text: open.text })
    if (open?.kind === "reject") onDecide({ ...about, decision: "reject", comment: open.text, giveUp: open.giveUp })
  }
  const nextView = () => setView(view === "output" ? "changes" : view === "changes" ? "side-by-side" : "output")
  useKeys({
    ...(canDecide && !isPending && !isOver
      ? { a: approve, r: () => reject(false), x: () => reject(true), e: edit }
      : undefined),
    j: isOver ? onGoOn : onNext,
    k: isOver ? onGoOn : onPrevious,
    s: isOver ? onGoOn : onNext,
    v: nextView
  })
  return (
    <div className="review">
      <Judged detail={detail} attempt={attempt} view={view} onView={setView} />
      {(canDecide || isOver) && (
        <div className="review-actions">
          {isOver && <Over attempt={isDeleted ? undefined : attempt} onNext={onGoOn} />}
          {open === undefined ? (
            !isOver && (
              <div className="review-buttons">
                <button type="button" className="button primary" disabled={isPending} onClick={approve}>
                  Approve <kbd>a</kbd>
                </button>
                <button type="button" className="button" disabled={isPending} onClick={() => reject(false)}>
                  Reject <kbd>r</kbd>
                </button>
                <button type="button" className="button" disabled={isPending} onClick={edit}>
                  Edit <kbd>e</kbd>
                </button>
                <button type="button" className="button ghost" disabled={isPending} onClick={() => reject(true)}>
                  Give up <kbd>x</kbd>
                </button>
                <button type="button" className="button ghost" onClick={onNext}>
                  Skip <kbd>s</kbd>
                </button>
                {field}
              </div>
            )
          ) : (
            <DraftForm
              draft={open}
              isPending={isPending || isOver}
              onChange={setDraft}
              onSubmit={submit}
              onClose={close}
            />
          )}
        </div>
      )}
    </div>
  )
}

/** The task that is shown, and those around it. A task that is no longer in review stays until the person goes on. */
const around = (ids: ReadonlyArray<string>, id: string | undefined) => {
  const index = id === undefined ? 0 : ids.indexOf(id)
  const next = ids[(index + 1) % ids.length]
  return { index, current: id ?? ids[0], next, previous: index < 0 ? next : ids.at(index - 1) }
}

export const ReviewPage = () => {
  const { id, queue } = route.useSearch()
  const navigate = useNavigate()
  const client = useQueryClient()
  const queues = useQueues()
  const canDecide = useMay("review")
  const list = useInReview(queue)
  const ids = list.data?.tasks.map((task) => task.id) ?? []
  const { current, index, next, previous } = around(ids, id)
  const detail = useTask(current ?? "")
  const decide = useDecide()
  /** The number of outputs that are done with. */
  const [round, setRound] = useState(0)
  // The next output is there when this one is decided.
  useEffect(() => {
    if (next !== undefined && next !== current) void client.prefetchQuery(taskQuery(next))
  }, [client, current, next])
  const waiting =
    queues.data?.queues.reduce(
      (sum, each) => sum + (queue === undefined || each.queue === queue ? each.in_review : 0),
      0
    ) ?? ids.length

  const show = useCallback(
    (shown: string | undefined) => void navigate({ to: "/review", search: { queue, id: shown }, replace: true }),
    [navigate, queue]
  )
  // The output stays on the screen when others decide, so that a key is never pressed for another one.
  useEffect(() => {
    if (id === undefined && current !== undefined) show(current)
  }, [current, id, show])

  /** Shows the next output at once; the server's event brings the list up to date. */
  const goOn = () => {
    client.setQueryData<TaskPage>(["review", queue ?? ""], (page) =>
      page === undefined ? page : { ...page, tasks: page.tasks.filter((task) => task.id !== current) }
    )
    void client.invalidateQueries({ queryKey: ["review"] })
    void client.invalidateQueries({ queryKey: ["task", current] })
    setRound(round + 1)
    show(next === current ? undefined : next)
    document.documentElement.scrollTop = 0
  }

  const onDecide = (decision: Decision) =>
    decide.mutate(decision, {
      onSuccess: () => {
        notify(`${said[decision.decision]} ${decision.id}.`)
        goOn()
      },
      onError: (error) => {
        notify(error.message, "failed")
        if (isOutdated(error)) goOn()
      }
    })

  const attempts = detail.data?.attempts ?? []
  const attempt =
    attempts.findLast(({ outcome }) => outcome === "in_review") ??
    attempts.findLast(({ verification }) => verification?.decision !== undefined)
  const isDeleted = detail.error instanceof RequestError && detail.error.status === 404
  return (
    <>
      <title>Review · Baton</title>
      <div className="page-head">
        <h1>{current === undefined ? "Review" : <Plain text={current} />}</h1>
        {current !== undefined && list.data !== undefined && (
          <p className="muted" role="status">
            {index < 0
              ? `${count(waiting, "output")} in review`
              : `${number(index + 1)} of ${count(Math.max(waiting, ids.length), "output")}`}
          </p>
        )}
        <div className="page-actions">
          {current !== undefined && (
            <Link to="/task" search={{ id: current }} className="button">
              All attempts
            </Link>
          )}
        </div>
      </div>
      {list.data === undefined ? (
        <LoadingOrFailure query={list} />
      ) : current === undefined ? (
        <Empty title="No output waits for review">
          <p>Let people decide about outputs:</p>
          <Command>baton run prompts.csv --review all</Command>
        </Empty>
      ) : detail.data === undefined ? (
        <LoadingOrFailure query={detail} />
      ) : attempt === undefined ? (
        <p className="note">
          This task has no output in review. <Link to="/review">Show those that wait</Link>
        </p>
      ) : (
        <>
          <Desk
            key={`${current} ${round}`}
            detail={detail.data}
            attempt={attempt}
            canDecide={canDecide}
            isDeleted={isDeleted}
            isPending={decide.isPending}
            onDecide={onDecide}
            onNext={() => show(next)}
            onPrevious={() => show(previous)}
            onGoOn={goOn}
          />
          <p className="keys muted">
            {canDecide && (
              <>
                <kbd>a</kbd> approve · <kbd>r</kbd> reject · <kbd>e</kbd> edit · <kbd>x</kbd> give up ·{" "}
              </>
            )}
            <kbd>s</kbd> <kbd>j</kbd> <kbd>k</kbd> move · <kbd>v</kbd> output or changes
          </p>
        </>
      )}
    </>
  )
}
